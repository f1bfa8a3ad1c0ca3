"""Managers that are closed again, and servers that are none."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from greencache.backends.redis import RedisManager

Talk = Callable[[socket.socket], object]


@pytest.fixture(params=["hiredis", "python"])
def parser(request):
    """Each of redis-py's two parsers."""
    if request.param == "hiredis":
        pytest.importorskip("hiredis")
    return request.param


@pytest.fixture
def new_manager() -> Iterator[Callable[..., RedisManager]]:
    """Make managers that are closed when the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda url, **options: stack.enter_context(RedisManager(url, **options))


class StrangeServer:
    """Listens on a free port of 127.0.0.1 and treats each connection as a test likes.

    Args:
        talk: Gets each connection, on a thread of its own; the connection is closed when it returns.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self.accepted = 0
        self.is_over = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._talk(connection)

    def close(self) -> None:
        """Hang up on everybody."""
        self.is_over.set()
        for sock in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture
def strange_server() -> Iterator[Callable[[Talk], Any]]:
    """Start servers that answer as a test likes."""
    with contextlib.ExitStack() as stack:

        def start(talk: Talk) -> StrangeServer:
            server = StrangeServer(talk)
            stack.callback(server.close)
            return server

        yield start
