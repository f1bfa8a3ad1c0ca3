"""Calls a thread back that waits for sockets."""

import contextlib
import selectors
import socket
import threading

from greencache.typing import Seconds

__all__ = ["Waker"]


class Waker:
    """Waits for sockets, and for a call from another thread.

    The waiting thread owns it and closes it; any thread may call `wake`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_closed = False
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell, selectors.EVENT_READ)

    def wake(self) -> None:
        """Let `wait` return, this time or the next; nothing happens after `close`."""
        # A full pipe wakes too. The lock: the number of a socket being closed may soon be another's.
        with self._lock, contextlib.suppress(BlockingIOError):
            if not self._is_closed:
                self._button.send(b"\0")

    def watch(self, connection: socket.socket, events: int) -> None:
        """Wait for these events of a socket from now on; 0 for none."""
        known = self._selector.get_map().get(connection)
        if known is None:
            if events:
                self._selector.register(connection, events)
        elif not events:
            self._selector.unregister(connection)
        elif known.events != events:
            self._selector.modify(connection, events)

    def wait(self, timeout: Seconds | None) -> None:
        """Return when a socket is ready, somebody called, or the seconds have passed."""
        self._selector.select(timeout)
        with contextlib.suppress(BlockingIOError):
            while self._bell.recv(4096):
                pass

    def close(self) -> None:
        """Give back what it holds."""
        with self._lock:
            self._is_closed = True
            self._selector.close()
            self._bell.close()
            self._button.close()

    def let_go(self) -> None:
        """In a forked child: close our copies of the sockets. The selector is shared with the parent."""
        self._bell.close()
        self._button.close()
