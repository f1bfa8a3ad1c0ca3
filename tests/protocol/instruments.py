"""Stops in the real code: before each call of a tier, of the stamps, of the flights, and of the bus.

Nothing of the code itself is changed: its methods are wrapped while an exploration runs. Between two stops an
actor is not interrupted, so there is one wherever threads or processes could notice each other.
"""

import contextlib
import functools
import secrets
import threading
from types import SimpleNamespace
from unittest import mock

import greencache.flight
from greencache.entry import Entry
from greencache.flight import Flight, FlightTable
from greencache.stamps import StampTable
from greencache.testing import DoubleRedisTier
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.memory import MemoryTier

from .scheduler import Run, Step

_READS = {"get_many", "current", "before_load", "since", "current_among"}
_STEPS = {
    MemoryTier: (
        "get_many", "reserve_many", "fill_many", "release_many", "put_many", "drop_many", "drop_matching",
        "replace_stamps", "clear",
    ),
    DoubleRedisTier: (
        "get_many", "reserve_many", "fill_many", "release_many", "extend_many", "put_many", "drop_many",
        "drop_matching", "read_stamps", "replace_stamps",
    ),
    StampTable: ("current", "before_load", "since", "current_among", "expect", "doubt"),
    FlightTable: ("join", "land", "crash", "abandon", "detach", "detach_where"),
}  # fmt: skip


def brief(seen: object) -> object:
    """Return what an actor has got as something that can be compared between executions."""
    how = _BRIEF.get(type(seen))
    return seen if how is None else how(seen)


def _in_order(items) -> tuple:
    return tuple(items) if len(items) < 2 else tuple(sorted(items))


_BRIEF = {
    Entry: lambda entry: (entry.value, entry.stamps, entry.tier),
    dict: lambda found: _in_order([(key, brief(each)) for key, each in found.items()]),
    set: _in_order,
    tuple: lambda items: tuple(map(brief, items)),
    list: lambda items: tuple(map(brief, items)),
}


@functools.cache
def _step(name: str, method: str, *, is_server: bool) -> Step:
    thing = f"{name}.stamps" if is_server and method.endswith("_stamps") else name
    is_reading = method in _READS or (is_server and method == "read_stamps")
    things = frozenset((thing,))
    label = f"{name}.{method}"
    return Step(label, reads=things) if is_reading else Step(label, writes=things)


class Instruments:
    """The stops of the run that is under way."""

    def __init__(self) -> None:
        self.run = Run()
        self.names: dict[int, str] = {}
        self.flights: dict[int, tuple[str, Flight]] = {}
        """What each flight is called, by identity; holds on to them, so that none is taken for another."""

    def begin(self) -> Run:
        """Return a new run; what is named from now on belongs to it."""
        self.run = Run()
        self.names = {}
        self.flights = {}
        self._drawn = 0
        return self.run

    @contextlib.contextmanager
    def installed(self):
        """Stop the code while this lasts."""
        with contextlib.ExitStack() as stack:
            for owner, methods in _STEPS.items():
                for method in methods:
                    stack.enter_context(mock.patch.object(owner, method, self._stopping(owner, method)))
            for owner, method, wrap in (
                (GuardedTier, "read_stamps", self._stopping_after),
                (Flight, "wait", self._waiting),
            ):
                stack.enter_context(mock.patch.object(owner, method, wrap(getattr(owner, method))))
            threads = SimpleNamespace(get_ident=self._identify, Lock=threading.Lock)
            stack.enter_context(mock.patch.object(greencache.flight, "threading", threads))
            stack.enter_context(mock.patch.object(secrets, "token_hex", self._draw))
            yield self

    # -- what steps touch --------------------------------------------------------------------------------

    def _step(self, owner: object, method: str) -> Step:
        is_server = isinstance(owner, DoubleRedisTier)
        name = owner.server.name if is_server else self.names[id(owner)]
        return _step(name, method, is_server=is_server)

    def _stopping(self, owner: type, method: str):
        original = getattr(owner, method)

        def stopping(this, *args, **options):
            run = self.run
            actor = run.actor
            if actor is None and not run.is_over:
                return original(this, *args, **options)
            run.stop_before(self._step(this, method))
            if method == "reserve_many" and owner is DoubleRedisTier:
                actor.seen[this.server.name] = this.server.changes
            try:
                answer = original(this, *args, **options)
            except Exception as error:
                run.note(type(error).__name__)
                raise
            if method == "join":
                run.note(self._label(answer))
            elif not run.is_repeating:
                run.note(brief(answer))
            return answer

        return stopping

    def _stopping_after(self, original):
        """Let others in between an answer of the authority and what is made of it."""

        def stopping(this, *args, **options):
            answer = original(this, *args, **options)
            if self.run.actor is not None:
                stamps = self.names[id(this)]
                self.run.stop_before(Step(f"{stamps} takes the answer", writes=frozenset((stamps,))))
            return answer

        return stopping

    def _waiting(self, original):
        def waiting(flight, _timeout, **options):
            label = self.flights[id(flight)][0]
            flights = frozenset(self.names[id(flight)].split())
            self.run.stop_before(Step(f"waits for {label}", reads=flights, is_ready=flight.future.done))
            answer = original(flight, 0, **options)
            self.run.note(brief(answer))
            return answer

        return waiting

    def _label(self, joined: tuple[Flight, bool]) -> object:
        flight, is_leader = joined
        if id(flight) not in self.flights:
            actor = self.run.actor
            self.flights[id(flight)] = (f"flight {actor.draw()}", flight)
            self.names[id(flight)] = " ".join(actor.next.writes)
        return (self.flights[id(flight)][0], is_leader)

    def numbers(self):
        """Yield what `MemoryTier` tells leases apart by, the same in every schedule."""
        while True:
            yield self._draw()

    # -- who does them -----------------------------------------------------------------------------------

    def _identify(self) -> object:
        actor = self.run.actor
        return None if actor is None else actor.name

    def _draw(self, _size: int | None = None) -> str:
        actor = self.run.actor
        if actor is not None:
            return actor.draw()
        self._drawn += 1
        return f"first#{self._drawn}"


INSTRUMENTS = Instruments()
