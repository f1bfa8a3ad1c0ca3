"""What a process believes of stamps."""

import pytest

from greencache.bus.base import NullBus
from greencache.clock import SystemClock
from greencache.stamps import StampTable
from greencache.testing import FakeClock


class Keeper:
    """A tier that keeps stamps, as far as a table sees of it."""

    def __init__(self):
        self.stamps = {}
        self.reads = 0
        self.is_up = True
        self.meanwhile = None

    def read_stamps(self, tags, seed=None):
        """Return what is there, created from the seed where it is missing."""
        if not self.is_up:
            return None
        self.reads += 1
        tags = list(tags)
        missing = [tag for tag in tags if tag not in self.stamps]
        seeds = seed(missing) if seed and missing else {}
        self.stamps.update({tag: seeds.get(tag, f"{tag}-made") for tag in missing})
        answer = {tag: self.stamps[tag] for tag in tags}
        if self.meanwhile:
            self.meanwhile()
        return answer


@pytest.fixture
def clock():
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def bus():
    """A bus that vouches for nothing until it is told to."""
    bus = NullBus()
    bus.trusted_until = 0.0
    return bus


@pytest.fixture
def keeper():
    """The authority."""
    return Keeper()


@pytest.fixture
def changes():
    """What L1 was told."""
    return []


@pytest.fixture
def table(bus, clock, keeper, changes):
    """A table over the authority."""
    table = StampTable(bus, clock, max_age=2.0, on_changed=lambda stamps, _: changes.append(stamps))
    table.keepers = (keeper,)
    return table


def test_without_an_authority_stamps_are_the_processs_own():
    """They last until they are replaced here."""
    table = StampTable(None, SystemClock(), on_changed=lambda *_: None)
    before = table.current(["t"])
    assert table.current(["t"]) == before
    table.expect(table.mint(["t"]))
    assert not table.are_current(before)
    assert table.are_current(table.current(["t"]))


def test_a_stamp_is_believed_for_max_age_without_the_bus(table, clock, keeper):
    """Then it is asked for again."""
    table.current(["t"])
    clock.advance(1.9)
    table.current(["t"])
    assert keeper.reads == 1
    clock.advance(0.2)
    table.current(["t"])
    assert keeper.reads == 2


def test_a_stamp_is_believed_as_long_as_the_bus_vouches(table, clock, keeper, bus):
    """A replacement would have been announced."""
    bus.trusted_until = clock.now() + 1000
    table.current(["t"])
    clock.advance(900)
    table.current(["t"])
    assert keeper.reads == 1


def test_an_announced_stamp_is_not_believed_but_read(table, keeper, bus, changes):
    """Two processes that replace it at once may announce it in the other order."""
    bus.trusted_until = 1e9
    old = table.current(["t"])
    keeper.stamps["t"] = "third"
    table.expect({"t": "third"})
    table.expect({"t": "second"})
    assert not table.are_current((("t", "second"),))
    assert table.are_current((("t", "third"),))
    assert not table.are_current(old)
    assert changes[-1] == {"t": "third"}


def test_an_announced_stamp_is_not_believed_during_an_outage(table, keeper, bus):
    """What cannot be proved is absent; what was confirmed before is believed."""
    bus.trusted_until = 1e9
    kept = table.current(["kept"])
    table.expect({"t": "second"})
    keeper.is_up = False
    table.doubt()
    assert not table.are_current((("t", "second"),))
    assert table.are_current(kept)


def test_a_stamp_that_was_never_seen_is_not_believed_during_an_outage(table, keeper):
    """It may have been replaced long ago."""
    keeper.is_up = False
    assert not table.are_current((("t", "whatever"),))
    own = table.current(["t"])
    assert table.are_current(own)
    keeper.is_up = True
    assert not table.are_current(own)


def test_what_was_announced_while_an_answer_was_under_way_is_asked_for_again(table, keeper, bus):
    """The answer may be older than the announcement."""
    bus.trusted_until = 1e9
    keeper.stamps["t"] = "old"
    keeper.meanwhile = lambda: table.expect({"t": "new"})
    table.current(["t"])
    keeper.meanwhile = None
    keeper.stamps["t"] = "new"
    assert table.are_current((("", keeper.stamps[""]), ("t", "new")))


def test_a_doubt_while_an_answer_was_under_way_is_not_forgotten(table, keeper, bus):
    """Announcements may be missed between the answer and the moment from which all are heard."""
    bus.trusted_until = 1e9
    keeper.meanwhile = table.doubt
    table.current(["t"])
    keeper.meanwhile = None
    keeper.stamps["t"] = "replaced unheard"
    assert dict(table.current(["t"]))["t"] == "replaced unheard"


def test_an_authority_that_lost_its_stamps_takes_them_from_below(table, keeper, clock):
    """What PostgreSQL has stays valid when Redis comes back empty."""
    deeper = Keeper()
    table.keepers = (keeper, deeper)
    before = table.current(["t"])
    keeper.stamps.clear()
    clock.advance(10)
    assert table.current(["t"]) == before


def test_the_table_is_bounded(bus, clock, keeper):
    """Forgetting stamps costs reads, nothing else."""
    table = StampTable(bus, clock, on_changed=lambda *_: None, capacity=100)
    table.keepers = (keeper,)
    first = table.current(["tag0"])
    for number in range(500):
        table.current([f"tag{number}"])
    assert len(table._tokens) <= 102
    assert table.current(["tag0"]) == first


def test_nobody_vouches_where_nothing_is_announced(clock, keeper):
    """Without a bus a stamp is believed for `max_age` and no longer."""
    table = StampTable(None, clock, max_age=2.0, on_changed=lambda *_: None)
    table.keepers = (keeper,)
    table.current(["t"])
    keeper.stamps["t"] = "replaced"
    clock.advance(2.1)
    assert dict(table.current(["t"]))["t"] == "replaced"
