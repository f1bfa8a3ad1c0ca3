"""Whether a server that answers in the place of another one has what that one was told."""

import pytest

from greencache.bus.stream import Position
from greencache.errors import TierUnavailableError
from greencache.lineage import lineage_of
from greencache.testing import FakeClock

MARK = Position(b"17-0", b"mark")
WINDOW = 60.0


class Log:
    """A bus with a log, as far as a lineage sees of it."""

    trusted_until = 0.0

    def __init__(self, *positions):
        self.positions = positions
        self.is_up = True
        self.asked_at = []

    def at(self, moment):
        """Return where it was."""
        self.asked_at.append(moment)
        return MARK

    def has(self, position):
        """Return whether it has what lies there."""
        if not self.is_up:
            raise TierUnavailableError("away")
        return position in self.positions


class Host:
    """A host's own tier that remembers a position."""

    def __init__(self, remembered):
        self.remembered = remembered

    def recall(self):
        """Return it."""
        return self.remembered

    def remember(self, position):
        """Remember another one."""


def lineage(log, tier=None, *, is_authority=False):
    """Return the lineage of a tier."""
    return lineage_of(log, FakeClock(), tier, lambda: is_authority, WINDOW)


def test_what_is_older_than_half_the_window_must_be_there():
    """The rest is remembered drop by drop."""
    log = Log()
    made = lineage(log)
    assert made.mark() == MARK
    assert log.asked_at == [FakeClock().now() - WINDOW / 2]


@pytest.mark.parametrize("is_there", [True, False])
def test_the_authority_must_have_the_log_up_to_the_mark(is_there):
    """It lies on the server itself."""
    log = Log(*[MARK] * is_there)
    assert lineage(log, is_authority=True).goes_on_from(MARK) is is_there


@pytest.mark.parametrize(
    ("remembered", "is_good"),
    [(b"17-0 mark", True), (b"20-0 later", True), (b"16-0 earlier", False), (None, False), (b"what", False)],
)
def test_a_host_must_remember_a_position_at_least_as_late(remembered, is_good):
    """Else it has missed what was announced in between."""
    log = Log(*(Position.from_bytes(each) for each in (b"16-0 earlier", b"17-0 mark", b"20-0 later")))
    assert lineage(log, Host(remembered)).goes_on_from(MARK) is is_good


def test_a_position_in_a_former_log_proves_nothing():
    """A log that was lost counts from one again, so a higher number may be an older one."""
    assert not lineage(Log(MARK), Host(b"5000-0 former")).goes_on_from(MARK)


def test_a_host_is_not_away_because_the_log_is():
    """It is read again, with nothing in it."""
    log = Log(MARK)
    log.is_up = False
    assert not lineage(log, Host(b"17-0 mark")).goes_on_from(MARK)
