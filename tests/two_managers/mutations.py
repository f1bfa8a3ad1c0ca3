"""Guards, each taken out in turn, which the machine must notice."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

from greencache.bus.base import MessageKind
from greencache.coherence import Coherence
from greencache.engine import Engine
from greencache.loading import Load
from greencache.options import EntryOptions
from greencache.receiver import Receiver
from greencache.testing import DoubleRedisTier
from greencache.tiers.backlog import Backlog
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.memory import MemoryTier

from .doubles import PausableBus


@dataclasses.dataclass(frozen=True)
class Mutation:
    """A guard, taken out.

    Args:
        patches: What to replace: owner, name, and the replacement.
    """

    patches: Sequence[tuple[object, str, object]]

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Leave the guard out while this lasts."""
        with contextlib.ExitStack() as stack:
            for owner, name, replacement in self.patches:
                stack.enter_context(mock.patch.object(owner, name, replacement))
            yield


def _nothing(*_: object) -> int:
    """Do nothing."""
    return 0


def _look_believing(self: GuardedTier, keys: Any) -> Any:
    """Take every entry of a tier for current."""
    self._current_among = lambda batch: batch
    return _LOOK(self, keys)


_LOOK = GuardedTier.look


def _receive_no_drops(self: Receiver, message: Any) -> None:
    """Ignore that others have dropped keys."""
    if message.kind is not MessageKind.DROP:
        _RECEIVE(self, message)


def _receive_no_stamps(self: Receiver, message: Any) -> None:
    """Ignore that others have replaced stamps."""
    if message.kind is not MessageKind.STAMP:
        _RECEIVE(self, message)


def _receive_no_gaps(self: Receiver, message: Any) -> None:
    """Ignore that something was missed."""
    if message.kind is not MessageKind.GAP:
        _RECEIVE(self, message)


_RECEIVE = Receiver.receive


def _announce_nothing(_self: object, _message: object, _pending: object, outcome: Any) -> Any:
    """Tell nobody."""
    return outcome


def _fill_anyway(self: DoubleRedisTier, key: str, entry: Any, token: object) -> bool:
    """Store without looking at the lease."""
    with self.server.lock:
        self._store(key, entry)
        self.server.leases.pop((self._namespace, key), None)
    return True


def _lifetime(*_: object) -> tuple[float, float, float]:
    """Keep everything for ever."""
    return math.inf, math.inf, math.inf


def _look_uncounted(self: Engine, keys: list[str], **options: bool) -> Any:
    """Forget to count what L1 did not have."""
    misses = self.memory_counters.misses
    looked = _LOOK_IN_MEMORY(self, keys, **options)
    self.memory_counters.misses = misses
    return looked


_LOOK_IN_MEMORY = Engine.look_in_memory


def _vouch_for_ever(self: PausableBus, _: float) -> None:
    """Believe L1 also when nothing is heard."""
    self.trusted_until = math.inf


MUTATIONS = {
    "fills ignore leases": Mutation(
        [(MemoryTier, "_is_good", lambda *_: True), (DoubleRedisTier, "_fill", _fill_anyway)]
    ),
    "a drop forgets L1": Mutation([(MemoryTier, "drop_many", _nothing)]),
    "a drop forgets the shared tiers": Mutation([(DoubleRedisTier, "drop_many", _nothing)]),
    "a pattern forgets L1": Mutation([(MemoryTier, "_drop_where", _nothing)]),
    "stamps are not compared": Mutation(
        [(GuardedTier, "look", _look_believing), (MemoryTier, "_is_revoked", lambda *_: False)]
    ),
    "drops of others are ignored": Mutation([(Receiver, "receive", _receive_no_drops)]),
    "stamps of others are ignored": Mutation([(Receiver, "receive", _receive_no_stamps)]),
    "gaps are ignored": Mutation([(Receiver, "receive", _receive_no_gaps)]),
    "nothing is announced": Mutation([(Coherence, "_announce", _announce_nothing)]),
    "trust never ends": Mutation([(PausableBus, "vouch", _vouch_for_ever)]),
    "nothing is replayed": Mutation([(Backlog, "replay", lambda _: True)]),
    "nothing expires": Mutation([(EntryOptions, "lifetime", _lifetime)]),
    "tags that loaders add are lost": Mutation([(Load, "tags_of", lambda *_: ())]),
    "misses are not counted": Mutation([(Engine, "look_in_memory", _look_uncounted)]),
}
