"""Guards of the state machines, each taken out in turn, and the scene in which that must show."""

import contextlib
import dataclasses
from collections.abc import Iterator
from unittest import mock

from greencache.background import Background
from greencache.flight import FlightTable
from greencache.loading import gate
from greencache.stamps import StampTable
from greencache.tiers.memory import MemoryTier
from greencache.tiers.pending import Pending, PendingDrops

from . import drops, flights, gates, memory, stamps, workers
from .harness import Scene


@dataclasses.dataclass(frozen=True)
class Mutation:
    """A guard, taken out.

    Args:
        scene: Where that must show.
        owner: Whose attribute is replaced.
        name: Which one.
        replacement: By what.
    """

    scene: type[Scene]
    owner: object
    name: str
    replacement: object

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Leave the guard out while this lasts."""
        with mock.patch.object(self.owner, self.name, self.replacement):
            yield


def _nothing(*_: object) -> None:
    """Do nothing."""


def _remove_any(self: FlightTable, key: str, _: object) -> None:
    """End whatever flight has the place."""
    with self._lock:
        self._flights.pop(key, None)


def _join_unlocked(self: FlightTable, key: str, inside: object = ()) -> object:
    """Look and enter without the lock."""
    with mock.patch.object(self, "_lock", contextlib.nullcontext()):
        return _JOIN(self, key)


_JOIN = FlightTable.join


def _end_everything(self: PendingDrops, replay: Pending, *, is_told: bool) -> None:
    """Take what was replayed off the queue, queued anew or not."""
    with self._lock:
        self._replay = None
        for name in replay.queued if is_told else ():
            self._queued.pop(name, None)


def _begin_again(self: PendingDrops, replay: Pending) -> bool:
    """Let anybody replay."""
    self._replay = None
    return _BEGIN(self, replay)


_BEGIN = PendingDrops.begin


def _drop_keeping_leases(self: MemoryTier, keys: object) -> int:
    with self._lock:
        return sum(self._remove(key) for key in keys)


def _replace_unnumbered(self: MemoryTier, stamps: object, _: int) -> int:
    """Take what comes last for the latest."""
    self._revoked = {tag: (0, token) for tag, (_, token) in self._revoked.items()}
    return _REPLACE(self, stamps, 1)


_REPLACE = MemoryTier.replace_stamps


def _read_remembering(self: StampTable, tags: list[str]) -> object:
    """Remember stamps although others were announced while they were read."""
    read = self._read_from(self.keepers, tags)
    with self._lock:
        self._changes += 1
        number = self._changes
        self._tokens.update(read)
        self._confirmed.update(dict.fromkeys(read, self._clock.now()))
    self._on_changed(read, number)
    return read


def _submit_unlocked(self: Background, task: object) -> bool:
    """Look whether it is closed, and take the task, in two steps."""
    if self._closed or self._tasks.full():
        return False
    with self._lock:
        self._add_thread()
        self._tasks.put_nowait(task)
    return True


MUTATIONS = {
    "a flight is joined without the lock": Mutation(flights.OneLeader, FlightTable, "join", _join_unlocked),
    "a drop detaches no flight": Mutation(flights.DroppedDuringFlight, FlightTable, "detach", _nothing),
    "a flight ends whatever has its place": Mutation(
        flights.HangingLeader, FlightTable, "_remove", _remove_any
    ),
    "everybody is let through": Mutation(gates.OneAtATime, gate.Queue, "is_in", True),
    "a fill ignores its lease": Mutation(memory.FillAndDrop, MemoryTier, "_is_good", lambda *_: True),
    "a drop voids no lease": Mutation(memory.FillAndDrop, MemoryTier, "drop_many", _drop_keeping_leases),
    "a put voids no lease": Mutation(memory.FillAndPut, MemoryTier, "_void", _nothing),
    "a fill ignores stamps": Mutation(memory.FillAndRestamp, MemoryTier, "_is_revoked", lambda *_: False),
    "stamps are taken as they come": Mutation(
        memory.StampsOutOfOrder, MemoryTier, "replace_stamps", _replace_unnumbered
    ),
    "an outdated answer about stamps is remembered": Mutation(
        stamps.TagDuringLoad, StampTable, "_read", _read_remembering
    ),
    "a gap is not doubted": Mutation(stamps.Gap, StampTable, "doubt", _nothing),
    "what was queued anew is taken off": Mutation(drops.AddAndReplay, PendingDrops, "end", _end_everything),
    "two may replay": Mutation(drops.TwoReplays, PendingDrops, "begin", _begin_again),
    "tasks are taken without the lock": Mutation(workers.Pool, Background, "submit", _submit_unlocked),
}
