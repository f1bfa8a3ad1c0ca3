"""Actors that run real code and stop before every step that others could notice."""

import functools
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import NamedTuple

from greenlet import GreenletExit, getcurrent, greenlet


class ViolationError(AssertionError):
    """Something happened that must never happen."""


class Step(NamedTuple):
    """What an actor does next, in one go, up to its next stop.

    Args:
        label: What it is, for the trace.
        reads: Names of the things that it looks at.
        writes: Names of the things that it may change.
        is_ready: Whether it can be done; it is asked again after every step of others.
    """

    label: str
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    is_ready: Callable[[], bool] = lambda: True

    def commutes_with(self, other: "Step") -> bool:
        """Return whether the order of the two makes no difference to anybody."""
        return self.writes.isdisjoint(other.reads | other.writes) and self.reads.isdisjoint(other.writes)


def reading(label: str, *things: str, is_ready: Callable[[], bool] = lambda: True) -> Step:
    """Return a step that looks at things."""
    return Step(label, reads=frozenset(things), is_ready=is_ready)


@functools.cache
def writing(label: str, *things: str) -> Step:
    """Return a step that may change things."""
    return Step(label, writes=frozenset(things))


class Actor:
    """A thread of some process, or a listener.

    Args:
        name: For the trace.
        body: What it does.
        reach: Names of all things that it may ever look at or change.
        changes: Those of them that it may change.
        is_over: Whether it will do nothing any more although its body has not ended, as a listener will
            when nobody is left to announce anything.
    """

    def __init__(
        self,
        name: str,
        body: Callable[[], None],
        reach: Iterable[str],
        changes: Iterable[str],
        *,
        is_listener: bool = False,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = name
        self.reach = frozenset(reach)
        self.changes = frozenset(changes)
        self.is_listener = is_listener
        self.next: Step | None = None
        self.history = hash(name)
        """Stands for all that the actor has seen so far, and so, as its code is deterministic, for its
        state."""
        self.seen: dict[str, int] = {}
        self.greenlet = greenlet(body)
        self._is_over = is_over
        self._drawn = 0

    @property
    def is_done(self) -> bool:
        """Whether its body has ended."""
        return self.next is None

    @property
    def may_act(self) -> bool:
        """Whether it may still do something, now or later."""
        return self.next is not None and not self._is_over()

    @property
    def is_ready(self) -> bool:
        """Whether it can do its next step now."""
        return self.next is not None and self.next.is_ready()

    def draw(self) -> str:
        """Return a name that nobody else draws, the same one in every schedule."""
        self._drawn += 1
        return f"{self.name}#{self._drawn}"


class Run:
    """One execution: actors, whose next steps somebody else chooses."""

    def __init__(self) -> None:
        self.actors: dict[str, Actor] = {}
        self.actor: Actor | None = None
        """Whoever is running now; `None` while a scenario is set up or judged."""
        self.trace: list[str] = []
        self.is_over = False
        self.is_repeating = False
        """Whether what happens has happened before, so that nothing need be noted."""
        self._hub = getcurrent()

    def add(self, actor: Actor) -> None:
        """Let an actor run up to its first step."""
        self.actors[actor.name] = actor
        self._resume(actor)

    def stop_before(self, step: Step) -> None:
        """Let the running actor wait until its step is chosen; outside of actors do nothing."""
        actor = self.actor
        if actor is not None:
            actor.next = step
            self._hub.switch()
            if not self.is_repeating:
                self.trace.append(f"{actor.name}: {step.label}")
        if self.is_over and getcurrent() is not self._hub:
            raise GreenletExit

    def note(self, seen: object) -> None:
        """Add to what the running actor has seen."""
        actor = self.actor
        if actor is not None and not self.is_repeating:
            actor.history = hash((actor.history, actor.next.label, seen))
            if seen is not None and seen != ():
                self.trace[-1] += f" -> {seen}"

    def repeat(self, schedule: Iterable[str], histories: Iterable[int]) -> None:
        """Do steps that were done before, after which the actors had seen what they had."""
        self.is_repeating = True
        for name in schedule:
            self.perform(name)
        self.is_repeating = False
        for actor, history in zip(self.actors.values(), histories, strict=False):
            actor.history = history

    @property
    def histories(self) -> tuple[int, ...]:
        """What each actor has seen."""
        return tuple(actor.history for actor in self.actors.values())

    def perform(self, name: str) -> None:
        """Do the next step of an actor."""
        self._resume(self.actors[name])

    def _resume(self, actor: Actor) -> None:
        self.actor = actor
        try:
            actor.greenlet.switch()
        finally:
            self.actor = None
        if actor.greenlet.dead:
            actor.next = None

    @property
    def ready(self) -> list[str]:
        """The names of those that can go on."""
        return [name for name, actor in self.actors.items() if actor.is_ready]

    def alone(self, ready: list[str]) -> str | None:
        """Return an actor whose next step touches nothing that any other may ever touch, if there is one.

        The order of that step and of whatever others do makes no difference, so one order is enough
        (persistent sets: Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems",
        1996).
        """
        for name in ready:
            step = self.actors[name].next
            others = [actor for other, actor in self.actors.items() if other != name and actor.may_act]
            if all(
                step.writes.isdisjoint(actor.reach) and step.reads.isdisjoint(actor.changes)
                for actor in others
            ):
                return name
        return None

    def end(self) -> None:
        """Give up what has not ended."""
        self.is_over = True
        for actor in self.actors.values():
            if not actor.greenlet.dead:
                actor.greenlet.throw(GreenletExit)


@contextmanager
def ended(run: Run):
    """Give a run and end it afterwards, whatever happens."""
    try:
        yield run
    finally:
        run.end()
