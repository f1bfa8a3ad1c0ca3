"""Scenes of the journal: writers that take no lock lose no record of a key that is known."""

from greencache.journal import Journal, Outcome
from greencache.testing import FakeClock

from .harness import Scene

KEY = "k"


class KnownKey(Scene):
    """Three note outcomes of a key that was noted before, and look at them."""

    threads = ("note", "note", "note")
    capacity = 100

    def __init__(self) -> None:
        super().__init__()
        self.journal = Journal(FakeClock(), capacity=self.capacity)
        self.journal.note(KEY, Outcome.HIT)

    def note(self, me: int) -> None:
        """Note an outcome, and look."""
        self.journal.note(KEY, Outcome.LOADED, detail=str(me))
        self.answers[me] = self.journal.recent(KEY)

    def judge(self) -> None:
        """All are there, and each has seen its own."""
        noted = {record.detail for record in self.journal.recent(KEY)}
        assert noted == {"", "0", "1", "2"}, noted
        for me, seen in enumerate(self.answers):
            assert str(me) in {record.detail for record in seen}


class CrowdedJournal(KnownKey):
    """New keys push out old ones meanwhile."""

    capacity = 2

    def note(self, me: int) -> None:
        """Note outcomes of keys that are new, and of one that may have been pushed out."""
        for key in (f"k{me}", KEY):
            self.journal.note(key, Outcome.LOADED)
            self.journal.recent(key)

    def judge(self) -> None:
        """It stays about as small as it is to be: a key for each writer may come too many."""
        assert len(self.journal) <= self.capacity + len(self.threads)
