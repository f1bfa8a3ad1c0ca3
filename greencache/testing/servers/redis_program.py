"""The programs of Redis and Valkey, and how to talk with them."""

import pathlib
import signal
import urllib.parse
from collections.abc import Sequence
from typing import Any

from greencache.testing.servers.accounts import Account
from greencache.testing.servers.ports import LOOPBACK
from greencache.testing.servers.redis_releases import product_of_program
from greencache.typing import Seconds

__all__ = [
    "RedisProgram",
    "SentinelProgram",
    "product_of",
    "redis_client",
    "redis_url",
]


class RedisProgram:
    """The command line of `redis-server` and `valkey-server`.

    Args:
        binary: Where the program lies.
        password: What clients must give, and what it gives as a replica; empty for none.
        arguments: Further words for its command line.
        persist: Whether it writes an append-only file.
    """

    account: Account | None = None
    stop_signal = signal.SIGTERM

    def __init__(
        self,
        binary: pathlib.Path,
        password: str = "",
        arguments: Sequence[str] = (),
        *,
        persist: bool = False,
    ) -> None:
        self.name = binary.name
        self.password = password
        self._binary = binary
        self._arguments = arguments
        self._persist = persist

    def install(self, folder: pathlib.Path) -> None:
        """Write down the password, which every user of the machine could read as an argument."""
        escaped = "".join(f"\\x{byte:02x}" for byte in self.password.encode())
        secrets = f'requirepass "{escaped}"\nmasterauth "{escaped}"\n' if escaped else ""
        (folder / "server.conf").write_text(secrets)

    def fill(self, folder: pathlib.Path) -> None:
        """Make an empty store."""
        (folder / "store").mkdir()

    def command(self, folder: pathlib.Path, port: int) -> list[str]:
        """Return its command line."""
        return [
            *self._place(folder, port),
            "--save", "", "--appendonly", "yes" if self._persist else "no",
            *self._arguments,
        ]  # fmt: skip

    def answers(self, folder: pathlib.Path, port: int, pid: int) -> bool:  # noqa: ARG002
        """Say whether it is this very process that serves on the port."""
        import redis

        try:
            # A stranger on the port may accept and say nothing: ask again soon, ours has ended meanwhile.
            with redis_client(self.url(port), deadline=0.5) as client:
                # Not just any server on that port: the one we started.
                return bool(client.info("server")["process_id"] == pid)
        except redis.RedisError:
            return False

    def clear_remains(self, folder: pathlib.Path) -> None:
        """Nothing: what it leaves, it leaves in its store."""

    def url(self, port: int) -> str:
        """Return where clients connect."""
        return redis_url(LOOPBACK, port, self.password)

    def describe(self) -> str:
        """Return product and version."""
        return product_of_program(self._binary)

    def _place(self, folder: pathlib.Path, port: int) -> list[str]:
        return [
            str(self._binary), str(folder / "server.conf"),
            "--bind", LOOPBACK, "--port", str(port), "--dir", str(folder / "store"),
            "--daemonize", "no", "--logfile", "",
        ]  # fmt: skip


class SentinelProgram(RedisProgram):
    """The same program as a sentinel, which keeps what it knows in its configuration file."""

    def command(self, folder: pathlib.Path, port: int) -> list[str]:
        """Return its command line."""
        return [*self._place(folder, port), "--sentinel"]


def redis_url(host: str, port: int, password: str = "") -> str:
    """Return the URL of a server's first database."""
    credentials = f":{urllib.parse.quote(password, safe='')}@" if password else ""
    return f"redis://{credentials}{host}:{port}/0"


def redis_client(url: str, deadline: Seconds = 5.0) -> Any:
    """Return a client of one server, for a with block.

    Args:
        url: Where it is.
        deadline: Seconds for each answer.
    """
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # One attempt: who waits for a server asks again himself. RESP2, whose replies have one shape everywhere.
    return redis.Redis.from_url(
        url, protocol=2, socket_timeout=deadline, decode_responses=True, retry=Retry(NoBackoff(), 0)
    )


def product_of(url: str) -> str:
    """Ask a server for its product and version: "Valkey 9.1.2"."""
    with redis_client(url) as client:
        facts = client.info("server")
    if "valkey_version" in facts:
        return f"Valkey {facts['valkey_version']}"
    return f"Redis {facts['redis_version']}"
