"""A TCP proxy that makes networks go wrong: late, slow, torn, silent, garbled, moved elsewhere."""

from greencache.testing.proxy.frames import FrameError, split_frames
from greencache.testing.proxy.proxy import TcpProxy
from greencache.testing.proxy.traffic import FIN, RST, Cut, Traffic

__all__ = ["FIN", "RST", "Cut", "FrameError", "TcpProxy", "Traffic", "split_frames"]
