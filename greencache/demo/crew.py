"""Worker processes: started together, asked together, and ended together, whatever happens."""

import dataclasses
import multiprocessing
import multiprocessing.connection
import multiprocessing.process
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Concatenate, Final, ParamSpec, Self, TypeVar

from greencache.demo.settings import DemoError
from greencache.demo.worker import Answer, Failure, Progress, Worker, WorkerSettings, serve
from greencache.typing import Seconds

__all__ = ["Crew", "Member"]

P = ParamSpec("P")
T = TypeVar("T")

# Nothing of the parent's sockets and threads is inherited.
_CONTEXT: Final = multiprocessing.get_context("spawn")
_PATIENCE: Final[Seconds] = 120.0
_FAREWELL: Final[Seconds] = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One worker process and the way to talk to it."""

    name: str
    process: multiprocessing.process.BaseProcess
    connection: "multiprocessing.connection.Connection[object, object]"


class Crew:
    """All worker processes of the demo; leaving its `with` block ends them."""

    def __init__(self) -> None:
        self._members: list[Member] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self._members:
            _dismiss(member, at_once=error is not None)
        for member in self._members:
            _bury(member)
        self._members.clear()

    def hire(self, settings: Iterable[WorkerSettings]) -> list[Member]:
        """Start one worker for each settings, and wait until all are ready to work."""
        hired = []
        for each in settings:
            hired.append(_start(each))
            self._members.append(hired[-1])
        _collect(hired)
        return hired

    def ask(
        self,
        members: Sequence[Member],
        method: Callable[Concatenate[Worker, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> list[T]:
        """Let workers do the same thing at the same time.

        Args:
            members: Which workers.
            method: What they are to do: a method of `Worker`.
            *args: Its arguments.
            **kwargs: Its arguments.

        Returns:
            Their answers, in the order of the members.

        Raises:
            DemoError: A worker failed, died, or did not answer in time.
        """
        return self.ask_with_progress(members, lambda _: None, method, *args, **kwargs)

    def ask_with_progress(
        self,
        members: Sequence[Member],
        on_progress: Callable[[int], None],
        method: Callable[Concatenate[Worker, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> list[T]:
        """Do what `ask` does, and hear of each portion of rows that a worker has done.

        Args:
            members: Which workers.
            on_progress: Takes how many rows were done since the last time; what it raises ends the wait.
            method: What they are to do: a method of `Worker`.
            *args: Its arguments.
            **kwargs: Its arguments.
        """
        for member in members:
            member.connection.send((method.__name__, args, kwargs))
        return _collect(members, on_progress)  # type: ignore[return-value]  # a worker answers what the method returns


def _start(settings: WorkerSettings) -> Member:
    ours, theirs = _CONTEXT.Pipe()
    name = f"worker {settings.number + 1} of host {settings.host}"
    process = _CONTEXT.Process(target=serve, args=(theirs, settings), name=name, daemon=True)
    # The child inherits the mask: Ctrl-C reaches us alone, and we end the workers in good order.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
    return Member(name, process, ours)


def _collect(members: Sequence[Member], on_progress: Callable[[int], None] = lambda _: None) -> list[object]:
    answers: dict[str, object] = {}
    waiting = {member.connection: member for member in members}
    last_sign = time.monotonic()
    while waiting:
        ready = multiprocessing.connection.wait(list(waiting), timeout=1.0)
        if ready:
            last_sign = time.monotonic()
        elif time.monotonic() - last_sign > _PATIENCE:
            names = ", ".join(member.name for member in waiting.values())
            raise DemoError(f"expected an answer within {_PATIENCE:g} s, heard nothing of {names}")
        for connection in ready:
            member = waiting[connection]  # type: ignore[index]  # wait returns what it was given
            message = _receive(member)
            if isinstance(message, Progress):
                on_progress(message.rows)
            else:
                answers[member.name] = message.value
                del waiting[member.connection]
    return [answers[member.name] for member in members]


def _receive(member: Member) -> Progress | Answer:
    try:
        message = member.connection.recv()
    except (EOFError, ConnectionError) as error:
        member.process.join(_FAREWELL)
        status = member.process.exitcode
        raise DemoError(f"{member.name} ended with status {status} in the middle of its work") from error
    if isinstance(message, Failure):
        raise DemoError(f"{member.name} failed\n{message.trace}")
    assert isinstance(message, Progress | Answer)  # noqa: S101 -- the other end is ours
    return message


def _dismiss(member: Member, *, at_once: bool) -> None:
    # A closed pipe is the sign to leave; who is in the middle of something does not look at it.
    member.connection.close()
    if at_once:
        member.process.terminate()


def _bury(member: Member) -> None:
    member.process.join(_FAREWELL)
    if member.process.is_alive():
        member.process.kill()
        member.process.join()
    member.process.close()
