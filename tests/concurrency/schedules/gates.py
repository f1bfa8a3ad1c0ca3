"""Scenes of the gate for loads: never more than the limit, and nobody left outside."""

import time

from greencache.errors import LoadTimeoutError
from greencache.loading.gate import LoadGate

from .harness import Scene


class OneAtATime(Scene):
    """Three loads, and a place for one."""

    threads = ("load", "load", "load")
    limit = 1
    patience = 1_000.0

    def __init__(self) -> None:
        super().__init__()
        self.gate = LoadGate(self.limit, self.patience)
        self.inside: list[int] = []
        self.outside: list[int] = []

    def load(self, me: int) -> None:
        """Go through, and count who is in."""
        with self.gate.passed():
            self.inside.append(me)
            self.answers[me] = len(self.inside)
            self.inside.remove(me)

    def judge(self) -> None:
        """All have been in, and never more than the limit."""
        assert None not in self.answers, self.answers
        assert max(self.answers) <= self.limit, f"{max(self.answers)} were in at once"
        assert not self.gate._arrivals, "a place was not given back"


class TwoAtATime(OneAtATime):
    """Three loads, and places for two."""

    limit = 2


class Impatient(OneAtATime):
    """A load that takes longer than others wait; each gets in, or is told."""

    threads = ("hang", "load", "load")
    patience = 1.0
    clock = "explored"

    def hang(self, me: int) -> None:
        """Keep the place for long."""
        self._try(me, 3.0)

    def load(self, me: int) -> None:
        """Keep it for no time."""
        self._try(me, 0.0)

    def _try(self, me: int, seconds: float) -> None:
        try:
            with self.gate.passed():
                self.inside.append(me)
                self.answers[me] = len(self.inside)
                if seconds:
                    time.sleep(seconds)
                self.inside.remove(me)
        except LoadTimeoutError:
            self.answers[me] = 0
