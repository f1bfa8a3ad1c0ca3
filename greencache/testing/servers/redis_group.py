"""Redis servers that belong together: what Sentinel and Cluster have in common."""

import abc
import contextlib
import pathlib
import secrets
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import ClassVar

from greencache.testing.servers.base import Server
from greencache.testing.servers.environment import EnvironmentRunner
from greencache.testing.servers.errors import ServerControlError, ServerStartError
from greencache.testing.servers.redis_node import RedisNode
from greencache.testing.servers.redis_releases import advice_on, chosen_release, redis_programs
from greencache.testing.servers.runner import Candidate
from greencache.testing.waiting import WaitTimeoutError, wait_until
from greencache.typing import Seconds

__all__ = [
    "FAST_REPLICATION",
    "GROUP_SOURCES",
    "GroupRunner",
    "RedisGroup",
    "addresses_of",
    "group_url",
    "password_of",
]

GROUP_SOURCES = ("environment", "path", "wheel")
"""No containers: members tell clients each other's addresses, and those inside containers are not ours."""

FAST_REPLICATION = (
    "--repl-diskless-sync",
    "yes",
    "--repl-diskless-sync-delay",
    "0",
    "--repl-ping-replica-period",
    "1",
)
"""For a replica to follow at once; by default a primary waits five seconds for further replicas."""


class GroupRunner(abc.ABC):
    """Keeps several servers running as one; a `Runner`.

    Args:
        deadline: Seconds for all of them to agree.
    """

    pid = None

    def __init__(self, deadline: Seconds) -> None:
        self.deadline = deadline
        self._is_built = False

    @property
    @abc.abstractmethod
    def members(self) -> list[RedisNode]:
        """Every server, dead ones included."""

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """Where clients connect."""

    @abc.abstractmethod
    def build(self) -> None:
        """Tell servers that have just been started for the first time of each other."""

    @abc.abstractmethod
    def what_is_missing(self) -> str:
        """Return what keeps the servers from being whole and of one mind; empty when nothing does."""

    @property
    def is_running(self) -> bool:
        """Whether any of them runs."""
        return any(member.is_running for member in self.members)

    def start(self) -> None:
        """Start those that do not run, resume those that are paused, and wait until all agree.

        Raises:
            ServerStartError: They did not within the deadline; the message says what was missing.
        """
        is_new = not self._is_built
        try:
            for member in self.members:
                if not member.is_running:
                    member.start()
                elif not member.is_responsive:
                    member.resume()
            if is_new:
                self.build()
                self._is_built = True
            self.await_whole()
        except BaseException as error:
            if is_new:
                self.close()
            if isinstance(error, WaitTimeoutError):
                raise ServerStartError(str(error)) from error
            raise

    def await_whole(self) -> None:
        """Wait until all servers agree, and replicas have what their primaries have."""
        import redis

        missing = ["nothing was asked yet"]

        def is_whole() -> bool:
            try:
                missing[0] = self.what_is_missing()
            except redis.RedisError as error:  # not yet; the deadline tells "not yet" from "never"
                missing[0] = str(error)
            return not missing[0]

        try:
            wait_until(is_whole, reason="all servers agree", deadline=self.deadline)
        except WaitTimeoutError as error:
            raise WaitTimeoutError(f"{error}; {missing[0]}\n{self.log()[-4_000:]}") from None

    def stop(self) -> None:
        """Stop all in good order."""
        self._each(member.stop for member in self.members)

    def kill(self) -> None:
        """Kill all that run."""
        self._each(member.kill for member in self.members if member.is_running)

    def pause(self) -> None:
        """Freeze all that run."""
        self._each(member.pause for member in self.members if member.is_running)

    def resume(self) -> None:
        """Let all that run go on."""
        self._each(member.resume for member in self.members if member.is_running)

    def close(self) -> None:
        """Stop all and remove what they kept."""
        # Killed first: what is stopped one by one begins failovers, and its folder goes anyhow.
        self._each(member.kill for member in self.members if member.is_running)
        self._each(member.close for member in self.members)

    def describe(self) -> str:
        """Return product and version."""
        return self.members[0].describe()

    def log(self) -> str:
        """Return what each has logged, one after the other."""
        return "\n".join(f"{member!r}:\n{member.log()}" for member in self.members)

    @staticmethod
    def _each(actions: Iterable[Callable[[], None]]) -> None:
        """Act on every member, also when that fails for one."""
        with contextlib.ExitStack() as stack:
            for action in actions:
                stack.callback(action)


class RedisGroup(Server):
    """Base of servers that are several Redis servers.

    Args:
        variable: Environment variable that may name such servers by a URL.
        release: One of `RELEASES`, as of `RedisServer`.
        sources: Which sources may serve.
        password: What clients must give; `True` for a random one, `None` for none.
        deadline: Seconds for all to agree.
    """

    default_port = 6379
    scheme: ClassVar[str]
    """What its URLs begin with."""

    def __init__(
        self,
        *,
        variable: str,
        release: str | None,
        sources: Sequence[str],
        password: str | bool | None,
        deadline: Seconds,
    ) -> None:
        super().__init__(sources=sources)
        self._is_any_welcome = release is None
        self._release = chosen_release(release)
        self.advice = advice_on(self._release) or self.advice
        self._variable = variable
        self._password = secrets.token_urlsafe(16) if password is True else password or ""
        self._deadline = deadline

    @property
    def port(self) -> int:
        """The port of the first server of `url`."""
        return addresses_of(self.url)[0][1]

    def heal(self) -> None:
        """Start what was killed, resume what was paused, and wait until all servers agree.

        Raises:
            ServerStartError: They did not within the deadline; the message says what was missing.
        """
        if self.source != "environment":
            self._group.start()

    @property
    def _group(self) -> GroupRunner:
        runner = self._started
        if not isinstance(runner, GroupRunner):
            raise ServerControlError(
                f"the servers of {self._variable} are not ours to control; "
                f"ask for local ones with sources=LOCAL, or unset {self._variable}"
            )
        return runner

    @abc.abstractmethod
    def _local(self, binary: pathlib.Path) -> GroupRunner:
        """Return local servers that were not started."""

    def _candidates(self) -> list[Candidate]:
        local = [
            Candidate(source, partial(self._found, find)) for source, find in redis_programs(self._release)
        ]
        if not self._is_any_welcome:
            return local
        return [
            Candidate(
                "environment", lambda: EnvironmentRunner(self._variable, [self.scheme], self._read_version)
            ),
            *local,
        ]

    def _found(self, find: Callable[[], pathlib.Path]) -> GroupRunner:
        return self._local(find())


def group_url(scheme: str, nodes: Sequence[RedisNode], password: str, path: str = "") -> str:
    """Return the URL of several servers: redis+cluster://:secret@127.0.0.1:7000,127.0.0.1:7001."""
    if any(node.front for node in nodes):
        scheme = scheme.replace("redis+", "rediss+")
    credentials = f":{urllib.parse.quote(password, safe='')}@" if password else ""
    places = ",".join(f"{host}:{port}" for host, port in (node.address for node in nodes))
    return f"{scheme}://{credentials}{places}{path}"


def addresses_of(url: str) -> list[tuple[str, int]]:
    """Return host and port of each server in a URL of several."""
    places = urllib.parse.urlsplit(url).netloc.rpartition("@")[2].split(",")
    parts = [urllib.parse.urlsplit(f"//{place}") for place in places]
    return [(part.hostname or "", part.port or RedisGroup.default_port) for part in parts]


def password_of(url: str) -> str:
    """Return the password in a URL; empty for none."""
    return urllib.parse.unquote(urllib.parse.urlsplit(url).password or "")
