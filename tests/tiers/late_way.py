"""A way to a server that loses a client and delivers what that one had sent later, as networks do."""

import contextlib
import socket
import struct
import threading

from greencache.testing import wait_until

NO_LINGER = struct.pack("ii", 1, 0)


class LateWay:
    """Passes bytes on, but for the first that are to be kept; what the server sees is an idle client.

    Args:
        target: The server.
        resets: Whether the client's connection is reset then; else it gets no answer.
    """

    def __init__(self, target, *, resets=True):
        self._target = target
        self.resets = resets
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.is_kept = None
        """Says of bytes whether to keep them."""
        self.kept = b""
        self._late = None
        self._open = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self._open:
            end(each)

    def url_for(self, server):
        """Return a server's URL with this way's port instead."""
        return server.replace(f":{self._target[1]}", f":{self.port}")

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._open += [client, server]
                threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
                threading.Thread(target=pass_on, args=(server, client), daemon=True).start()

    def _ask(self, client, server):
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 20):
                if self._late is None and self.is_kept is not None and self.is_kept(data):
                    self._late, self.kept = server, data
                    if self.resets:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                        client.close()
                    return
                server.sendall(data)
        end(server)

    def arrive(self):
        """Deliver what was kept; after that the server is told that its client has gone."""
        with contextlib.suppress(OSError):
            self._late.sendall(self.kept)
            self._late.shutdown(socket.SHUT_WR)

    def forget(self):
        """Never deliver it."""
        end(self._late)

    def wait_for_end(self):
        """Wait until the server has done with what has arrived."""
        wait_until(lambda: self._late.fileno() < 0, deadline=60, reason="the server ends the connection")


def pass_on(source, sink):
    """Pass all on that comes, then end both; a sink that is gone is given nothing, and the rest is read."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 20):
            with contextlib.suppress(OSError):
                sink.sendall(data)
    end(source)
    end(sink)


def end(connection):
    """Close a connection for both who use it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
