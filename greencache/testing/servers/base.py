"""What all servers for tests have in common."""

import abc
import urllib.parse
from collections.abc import Sequence
from types import TracebackType
from typing import ClassVar, Self

from greencache.testing.servers.environment import without_password
from greencache.testing.servers.errors import ServerControlError
from greencache.testing.servers.runner import (
    SOURCES,
    Candidate,
    Runner,
    available_sources,
    choose,
    first_available,
)

__all__ = ["Server"]


class Server(abc.ABC):
    """A real server: chosen and started by the first `start`, or by `with`; stopped for good by `close`.

    Args:
        sources: Which sources may serve, out of `SOURCES`.
    """

    kind: ClassVar[str]
    """What it is, for messages."""

    advice: str
    """What to do where none is available."""

    default_port: ClassVar[int]

    def __init__(self, *, sources: Sequence[str] = SOURCES) -> None:
        self._sources = tuple(sources)
        self._runner: Runner | None = None
        self._source = ""
        self._version = ""
        self._passed_over: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self if self.is_running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._runner is None:
            return f"<{type(self).__name__} not started>"
        return f"<{type(self).__name__} {self._version} from {self._source} at {without_password(self.url)}>"

    def start(self) -> Self:
        """Start it and wait until it answers; after `stop` or `kill` on the same port as before.

        Returns:
            Itself.

        Raises:
            NoServerAvailable: Nothing on this machine can serve.
            ServerStartError: It did not come up; the message ends with its log.
            ServerControlError: It runs already.
        """
        if self._runner is None:
            candidate, runner, self._passed_over = choose(self.kind, self._allowed_candidates(), self.advice)
            self._runner, self._source = runner, candidate.source
        else:
            self._runner.start()
        self._version = self._read_version(self.url)
        return self

    def stop(self) -> None:
        """Stop it in good order. Its port stays its own, and with `persist` so does what it stores."""
        self._started.stop()

    def kill(self) -> None:
        """End it at once, as SIGKILL does.

        Raises:
            ServerControlError: It is not a local server, or does not run.
        """
        self._started.kill()

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing answers.

        Raises:
            ServerControlError: It is not a local server, or does not run.
        """
        self._started.pause()

    def resume(self) -> None:
        """Let it run on after `pause`.

        Raises:
            ServerControlError: It is not a local server, or does not run.
        """
        self._started.resume()

    def close(self) -> None:
        """Stop it and remove all it kept; the next `start` chooses anew."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()

    def log(self) -> str:
        """Return what it has logged since its first start, as far as that can be read."""
        return self._started.log()

    @property
    def url(self) -> str:
        """Where clients connect; stays the same while it is down."""
        return self._started.url

    @property
    def port(self) -> int:
        """The port of `url`."""
        return urllib.parse.urlsplit(self.url).port or self.default_port

    @property
    def pid(self) -> int | None:
        """Its process id while it runs; `None` when it is not a local server."""
        return self._started.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended since."""
        return self._runner is not None and self._runner.is_running

    @property
    def source(self) -> str:
        """Where it comes from: "environment", "container", "path", or "wheel:" and its name; else empty."""
        return self._source

    @property
    def version(self) -> str:
        """Its product and version, as it says itself: "Valkey 9.1.2"; empty before `start`."""
        return self._version

    @property
    def passed_over(self) -> tuple[str, ...]:
        """For each source that was tried before this one, why it did not serve."""
        return self._passed_over

    def describe_first_available(self) -> str:
        """Return what `start` would try first, without starting it."""
        return first_available(self._allowed_candidates()) or f"no {self.kind} server ({self.advice})"

    def sources_here(self) -> list[str]:
        """Return the allowed sources that exist on this machine, best first, without starting anything."""
        return available_sources(self._allowed_candidates())

    @property
    def _started(self) -> Runner:
        if self._runner is None:
            raise ServerControlError(f"{type(self).__name__} was not started; call start() or use it by with")
        return self._runner

    def _allowed_candidates(self) -> list[Candidate]:
        return [each for each in self._candidates() if each.is_from(self._sources)]

    @abc.abstractmethod
    def _candidates(self) -> list[Candidate]:
        """Return all ways to get such a server, best first."""

    @abc.abstractmethod
    def _read_version(self, url: str) -> str:
        """Ask the server for its product and version."""
