"""The servers of the demo: started for it, or named in the environment."""

import contextlib
import functools
import secrets
import urllib.parse
from types import TracebackType
from typing import Final, Self

from greencache.backends.redis import RedisManager
from greencache.testing.servers import LOCAL, NoServerAvailable, PostgresServer, RedisServer, Server

__all__ = ["HOSTS", "L2_VARIABLE", "L3_VARIABLE", "POSTGRES_VARIABLE", "Servers"]

POSTGRES_VARIABLE: Final = "GREENCACHE_DEMO_POSTGRES_URL"
L2_VARIABLE: Final = "GREENCACHE_DEMO_L2_URL"
L3_VARIABLE: Final = "GREENCACHE_DEMO_L3_URL"

HOSTS: Final = ("A", "B")
"""Two hosts, played by two databases of one Redis server: they share nothing above L3."""


class Servers:
    """PostgreSQL, the hosts' Redis and the shared Redis; leaving the `with` block stops what was started.

    Raises:
        ServerError: If one can neither be found nor started.
    """

    def __init__(self) -> None:
        self._resources = contextlib.ExitStack()
        self.namespace = f"demo-{secrets.token_hex(4)}"
        """A name of its own, since a server of the environment may hold other things."""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._postgres = stack.enter_context(PostgresServer(variable=POSTGRES_VARIABLE))
            self._l2 = stack.enter_context(_redis(L2_VARIABLE, "100mb"))
            self._l3 = stack.enter_context(_redis(L3_VARIABLE, "1gb"))
            self.database = self._postgres.create_database()
            stack.callback(self._postgres.drop_database, self.database)
            for server, url in ((self._l3, self.l3), *((self._l2, self.l2(host)) for host in HOSTS)):
                if server.source == "environment":
                    stack.callback(_sweep, url, self.namespace)
            self._resources = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def l2(self, host: str) -> str:
        """Return the address of a host's own Redis."""
        parts = urllib.parse.urlsplit(self._l2.url)
        first = int(parts.path.strip("/") or 0)
        return self._l2.database_url(first + HOSTS.index(host))

    @property
    def l3(self) -> str:
        """The address of the shared Redis."""
        return self._l3.url

    @property
    def l3_can_be_killed(self) -> bool:
        """Whether the shared Redis is a process of ours."""
        return self._l3.pid is not None

    def kill_l3(self) -> None:
        """End the shared Redis as a crash does; it forgets everything."""
        self._l3.kill()

    def start_l3(self) -> None:
        """Start the shared Redis again, empty, where it was."""
        self._l3.start()

    def describe(self) -> dict[str, str]:
        """Return what plays each part."""
        return {
            "L2": _described(self._l2),
            "L3": _described(self._l3),
            "L4": _described(self._postgres),
        }


def _redis(variable: str, maxmemory: str) -> RedisServer:
    # A process of ours can be killed, a container or a server of somebody else cannot: so those come last.
    server = functools.partial(
        RedisServer, variable=variable, maxmemory=maxmemory, maxmemory_policy="allkeys-lru"
    )
    try:
        return server(sources=("environment", *LOCAL)).start()
    except NoServerAvailable:
        return server().start()


def _sweep(url: str, namespace: str) -> None:
    """Remove what the demo has left in a server of somebody else."""
    with RedisManager(url) as redis:
        cursor = b"0"
        while True:
            cursor, names = redis.execute(b"SCAN", cursor, b"MATCH", f"gc:?:{{{namespace}*", b"COUNT", 1_000)
            if names:
                redis.execute(b"UNLINK", *names)
            if cursor == b"0":
                return


def _described(server: Server) -> str:
    return f"{server.version} ({server.source})"
