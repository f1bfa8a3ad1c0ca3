"""What is noted of each read that went beyond L1."""

import itertools
from collections.abc import Iterable

from greencache.events import Event, EventKind, Recorder
from greencache.journal import Journal, Outcome
from greencache.loading.maker import Loaded, Prospect
from greencache.stats import LoadCounters
from greencache.strategies import Descent
from greencache.typing import Key

__all__ = ["Notes"]

_HITS_NOTED = 4
"""Of a batch that was found: a note takes as long as decoding a small entry."""


class Notes:
    """Counts, records and writes down what became of reads.

    Args:
        recorder: Is told of what an operator should see.
        journal: Remembers the last outcomes for each key.
    """

    def __init__(self, recorder: Recorder, journal: Journal) -> None:
        self.counters = LoadCounters()
        self._record = recorder.record
        self._journal = journal

    def looked(self, keys: Iterable[Key], descent: Descent) -> None:
        """Note a read without a loader."""
        self.found(descent)
        self._journal.note_many(itertools.islice(descent.lacks(keys), _HITS_NOTED), Outcome.MISSED)

    def found(self, descent: Descent) -> None:
        """Note what was found below L1, and what of it could not be proved."""
        for key, tier in itertools.islice(descent.places.items(), _HITS_NOTED):
            self._journal.note(key, Outcome.HIT, tier)
        if descent.served:
            self.counters.degraded += len(descent.served)
            self._record(Event(EventKind.DEGRADED, None, next(iter(descent.served))))
            self._journal.note_many(descent.served, Outcome.DEGRADED, detail="nobody could be asked")

    def called(self, prospect: Prospect) -> None:
        """Count a call of a loader."""
        self.counters.loads += prospect.load.has_begun
        self.counters.seconds += prospect.load.cost

    def loaded(self, prospect: Prospect, loaded: Loaded) -> None:
        """Note what came of a load."""
        cost, confirmed = prospect.load.cost, loaded.confirmed
        made = loaded.stored.keys() - confirmed if confirmed else loaded.stored
        self._journal.note_many(made, Outcome.LOADED, seconds=cost)
        if confirmed:
            self._journal.note_many(confirmed, Outcome.CONFIRMED, seconds=cost)
        if loaded.passed:
            self._journal.note_many(loaded.passed, Outcome.DECLINED, seconds=cost, detail=loaded.reason)

    def refused(self, descent: Descent) -> None:
        """Note what could not be stored where it was to be, because of what happened meanwhile."""
        for key, tiers in descent.refused.items():
            self._journal.note(key, Outcome.NOT_STORED, *tiers, detail="dropped or written meanwhile")
        descent.refused.clear()

    def failed(self, prospect: Prospect, error: Exception) -> None:
        """Note a loader that raised, or that was not let through."""
        keys, name = prospect.load.keys, type(error).__name__
        if prospect.load.has_begun:
            self.counters.failures += 1
            self._record(Event(EventKind.LOAD_FAILED, None, keys[0], {"error": name}))
            self._journal.note_many(keys, Outcome.FAILED, seconds=prospect.load.cost, detail=name)
        else:
            self._journal.note_many(keys, Outcome.TIMED_OUT, detail="no place to load in became free")

    def stale(self, keys: Iterable[Key], reason: str, *, is_told: bool = True) -> None:
        """Note stale values served.

        Args:
            keys: Whose.
            reason: Why nothing better was to be had.
            is_told: Whether an operator should see it.
        """
        served = list(keys)
        self.counters.stale_served += len(served)
        if served and is_told:
            self._record(Event(EventKind.STALE_SERVED, None, served[0], {"error": reason}))
        self._journal.note_many(served, Outcome.STALE_SERVED, detail=reason)

    def waits(self, keys: list[Key]) -> None:
        """Count keys that another process is loading."""
        self.counters.waited += len(keys)

    def waited(self, keys: Iterable[Key]) -> None:
        """Note what another process has loaded."""
        self._journal.note_many(keys, Outcome.WAITED)

    def joined(self, key: Key) -> None:
        """Note what another caller of this process has found or loaded."""
        self._journal.note(key, Outcome.JOINED)

    def timed_out(self, key: Key, detail: str) -> None:
        """Note a caller that got nothing in time."""
        self._journal.note(key, Outcome.TIMED_OUT, detail=detail)
