"""A process that reads rows of a table through a cache, and is told of changes by the database alone."""

import time

import psycopg

from greencache import CacheManager
from tests.faults.child import Child

__all__ = ["NAMESPACE", "SqlClient"]

NAMESPACE = "sql-faults"


class SqlClient(Child):
    """The parent's end of such a process.

    Args:
        urls: Of its cache.
    """

    def __init__(self, urls):
        super().__init__(_run, urls)

    def role(self):
        """Return what its listener does."""
        return self.ask("role")

    def read(self, keys):
        """Return what it reads under some keys."""
        return self.ask("read", keys)

    def await_drop(self, key):
        """Have it read a key and tell, twice: when its L1 has the value, and when it has it no more."""
        self.ask("await drop", key)

    def close(self):
        """End it as programs end."""
        self.ask("close")


class _Reader:
    def __init__(self, urls):
        self._url = urls["l4"]
        self._cache = CacheManager.from_urls(**urls, namespace=NAMESPACE).initialize(strict=True)

    def _load(self, key):
        # A connection for each, since the server is killed sometimes.
        with psycopg.connect(self._url) as connection:
            query = "select value from public.facts where id = %s"
            return connection.execute(query, [int(key.removeprefix("fact:"))]).fetchone()[0]

    def answer(self, pipe, question, *arguments):
        if question == "role":
            pipe.send(self._cache._engine._outbox.state()["role"])
        elif question == "read":
            pipe.send(
                {key: self._cache.get_or_load(key, lambda key=key: self._load(key)) for key in arguments[0]}
            )
        elif question == "await drop":
            self._await_drop(pipe, *arguments)
        else:
            self._cache.close()
            pipe.send("closed")

    def _await_drop(self, pipe, key):
        value = self._cache.get_or_load(key, lambda: self._load(key))
        pipe.send("it is there")
        while self._cache.get(key) == value:
            # Not without a pause: a reader that spins keeps the interpreter from its own listener.
            time.sleep(0.0002)
        pipe.send(time.monotonic())


def _run(pipe, urls):
    reader = _Reader(urls)
    pipe.send("ready")
    while True:
        reader.answer(pipe, *pipe.recv())
