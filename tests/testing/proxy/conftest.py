"""A proxy between two plain sockets that the test holds itself."""

import contextlib
import socket

import pytest

from greencache.testing import TcpProxy


class Ends:
    """A proxy, its target, and both ends of the connections through it."""

    def __init__(self, stack):
        self._stack = stack
        self.listener = self.new_listener()
        self.proxy = stack.enter_context(TcpProxy(self.listener.getsockname()))

    def new_listener(self):
        """Return a socket that listens as another server would."""
        listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(10)
        return listener

    def dial(self):
        """Return a new connection of a client."""
        client = self._stack.enter_context(socket.create_connection(self.proxy.address, timeout=10))
        client.settimeout(10)
        return client

    def pair(self, listener=None):
        """Return both ends of a new connection."""
        client = self.dial()
        server, _ = (listener or self.listener).accept()
        self._stack.enter_context(server)
        server.settimeout(10)
        return client, server


@pytest.fixture
def ends():
    """Give a proxy with what is at its ends."""
    with contextlib.ExitStack() as stack:
        yield Ends(stack)


def receive(connection, size):
    """Return exactly so many bytes, or fewer when the connection ends before."""
    data = b""
    while len(data) < size and (piece := connection.recv(size - len(data))):
        data += piece
    return data


def is_silent(connection, seconds=0.1):
    """Say whether nothing comes for some time."""
    connection.settimeout(seconds)
    try:
        return connection.recv(1, socket.MSG_PEEK) is None
    except TimeoutError:
        return True
    finally:
        connection.settimeout(10)
