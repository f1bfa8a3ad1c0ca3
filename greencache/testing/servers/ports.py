"""Free ports of the loopback interface."""

import pathlib
import secrets
import socket

from greencache.testing.servers.errors import ServerStartError

__all__ = ["LOOPBACK", "free_port"]

LOOPBACK = "127.0.0.1"

_LOWEST = 10_000
_EPHEMERAL_RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port(*further: int) -> int:
    """Return a port of 127.0.0.1 that nobody listens on just now.

    It lies below the range from which the kernel takes the ports of outgoing connections. Inside that range a
    client that retries while its server is down can be given the server's own port, connects to itself, and
    keeps the server from coming back.

    Args:
        further: Distances of further ports that must be free too: 10,000 for the bus of a Redis Cluster.

    Raises:
        ServerStartError: No free port was found.
    """
    offsets = (0, *further)
    lowest, highest = _LOWEST, _first_ephemeral_port() - 1 - max(offsets)
    for _ in range(200):
        # Not from `random`: test runs seed it, so that parallel workers would all choose the same ports.
        port = lowest + secrets.randbelow(highest - lowest + 1)
        if all(_is_free(port + offset) for offset in offsets):
            return port
    raise ServerStartError(f"expected a free port of {LOOPBACK} between {lowest} and {highest}, found none")


def _first_ephemeral_port() -> int:
    try:
        first = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first = 32_768  # Linux's default; macOS and the BSDs begin higher
    # A machine that hands out nearly all ports leaves nothing below: then take our chances inside.
    return first if first > 2 * _LOWEST + 1_000 else 32_768


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do it: else connections of the last server, lingering in TIME_WAIT, look like a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
