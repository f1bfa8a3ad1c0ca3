"""Scenes of the flight table: one leader, nobody stuck, nothing old handed out."""

import time

from greencache.flight import Flight, FlightTable

from .harness import Scene

KEY = "k"


class OneLeader(Scene):
    """Three that miss a key: one loads, and all get what it found."""

    threads = ("load", "load", "load")

    def __init__(self) -> None:
        super().__init__()
        self.table = FlightTable()
        self.cached: int | None = None
        self.loads: list[int] = []

    def load(self, me: int) -> None:
        """Look, join, and look again before loading."""
        found = self.cached
        if found is None:
            flight, leads = self.table.join(KEY)
            if leads:
                found = self.cached
                if found is None:
                    self.loads.append(me)
                    found = self.cached = 1
                self.table.land(KEY, flight, found)
            else:
                found = flight.wait(10.0)
        self.answers[me] = found

    def judge(self) -> None:
        """One load, an answer for each, and an empty table."""
        assert len(self.loads) == 1, f"{len(self.loads)} led at once"
        assert self.answers == [1, 1, 1], self.answers
        assert len(self.table) == 0, "a flight was left behind"


class CrashingLeader(Scene):
    """Leaders whose loads fail hand the error on, and nobody is stuck."""

    threads = ("load", "load", "load")

    def __init__(self) -> None:
        super().__init__()
        self.table = FlightTable()
        self.raised: list[int] = []

    def load(self, me: int) -> None:
        """Fail, or be told."""
        flight, leads = self.table.join(KEY)
        try:
            if leads:
                self.raised.append(me)
                self.table.crash(KEY, flight, LookupError(me))
                self.answers[me] = me
            else:
                flight.wait(10.0)
        except LookupError as error:
            self.answers[me] = error.args[0]

    def judge(self) -> None:
        """Each has the error of somebody who raised one."""
        assert set(self.answers) <= set(self.raised), (self.answers, self.raised)
        assert len(self.table) == 0, "a flight was left behind"


class DroppedDuringFlight(Scene):
    """Who asks after a drop was acknowledged joins no flight that began before it."""

    threads = ("load", "change_and_load", "load")

    def __init__(self) -> None:
        super().__init__()
        self.table = FlightTable()
        self.version = 0
        self.acknowledged = 0

    def load(self, me: int) -> None:
        """Read through the table alone."""
        floor = self.acknowledged
        flight, leads = self.table.join(KEY)
        if leads:
            found = self.version
            self.table.land(KEY, flight, found)
        else:
            found = flight.wait(10.0)
        assert found >= floor, f"got {found} after {floor} was acknowledged"
        self.answers[me] = found

    def change_and_load(self, me: int) -> None:
        """Change the source, drop, and read."""
        self.version = 1
        self.table.detach([KEY])
        self.acknowledged = 1
        self.load(me)

    def judge(self) -> None:
        """Each has an answer."""
        assert None not in self.answers, self.answers
        assert len(self.table) == 0, "a flight was left behind"


class PatternDuringFlight(DroppedDuringFlight):
    """The same with a pattern."""

    def change_and_load(self, me: int) -> None:
        """Change the source, drop what matches, and read."""
        self.version = 1
        self.table.detach_where(lambda key: key == KEY)
        self.acknowledged = 1
        self.load(me)


class HangingLeader(Scene):
    """A leader that hangs is left alone by those that wait, and ends nobody else's flight when it lands."""

    threads = ("hang", "load", "load_late")

    def __init__(self) -> None:
        super().__init__()
        self.table = FlightTable()
        self.leading: list[Flight] = []
        self.abandoned: list[Flight] = []

    def hang(self, me: int) -> None:
        """Lead for longer than the others wait."""
        flight, leads = self.table.join(KEY)
        if leads:
            time.sleep(3.0)
            self.table.land(KEY, flight, me)

    def load(self, me: int) -> None:
        """Wait, and lead when that has taken too long."""
        while self.answers[me] is None:
            flight, leads = self.table.join(KEY)
            if leads:
                self.lead(flight)
                self.table.land(KEY, flight, me)
                self.answers[me] = me
            else:
                self.wait(me, flight)

    def load_late(self, me: int) -> None:
        """Come when the one that hung has landed, but not the one that took its place."""
        time.sleep(3.5)
        self.load(me)

    def lead(self, flight: Flight) -> None:
        """Lead, when nobody else does who was not abandoned."""
        others = [each for each in self.leading if each not in self.abandoned]
        assert not others, "two lead at once"
        self.leading.append(flight)
        time.sleep(3.0)
        self.leading.remove(flight)

    def wait(self, me: int, flight: Flight) -> None:
        """Wait for a second."""
        try:
            self.answers[me] = flight.wait(1.0)
        except TimeoutError:
            self.abandoned.append(flight)
            self.table.abandon(KEY, flight)

    def judge(self) -> None:
        """Those that load have an answer."""
        assert None not in self.answers[1:], self.answers
        assert len(self.table) == 0, "a flight was left behind"


class ImpatientFollowers(HangingLeader):
    """The same while time may pass at any step."""

    clock = "explored"
