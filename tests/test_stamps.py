"""What a process believes of stamps."""

import pytest

from greencache.bus.base import NullBus
from greencache.clock import SystemClock
from greencache.keys import ANY_TAG
from greencache.stamps import NAMESPACE, StampTable
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


def is_current(table, stamps):
    """Return what the table says of the stamps of one entry."""
    return table.current_among({stamps}) == {stamps}


def test_without_an_authority_stamps_are_the_processs_own():
    """They last until they are replaced here."""
    table = StampTable(None, SystemClock(), on_changed=lambda *_: None)
    before = table.current(["t"])
    assert table.current(["t"]) == before
    table.expect(table.mint(["t"]))
    assert not is_current(table, before)
    assert is_current(table, table.current(["t"]))


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
    stamps = table.current(["t"])
    clock.advance(900)
    assert is_current(table, stamps)
    assert keeper.reads == 1


def test_an_announced_stamp_is_not_believed_but_read(table, keeper, bus, changes):
    """Two processes that replace it at once may announce it in the other order."""
    bus.trusted_until = 1e9
    old = table.current(["t"])
    keeper.stamps["t"] = "third"
    table.expect({"t": "third"})
    table.expect({"t": "second"})
    assert not is_current(table, (("t", "second"),))
    assert is_current(table, (("t", "third"),))
    assert not is_current(table, old)
    assert changes[-1] == {"t": "third"}


def test_an_announced_stamp_is_not_believed_during_an_outage(table, keeper, bus):
    """What cannot be proved is absent; what was confirmed before is believed."""
    bus.trusted_until = 1e9
    kept = table.current(["kept"])
    table.expect({"t": "second"})
    keeper.is_up = False
    table.doubt()
    assert not is_current(table, (("t", "second"),))
    assert is_current(table, kept)


def test_a_stamp_that_was_never_seen_is_not_believed_during_an_outage(table, keeper):
    """It may have been replaced long ago."""
    keeper.is_up = False
    assert not is_current(table, (("t", "whatever"),))
    own = table.current(["t"])
    assert is_current(table, own)
    keeper.is_up = True
    assert not is_current(table, own)


def test_what_was_announced_while_an_answer_was_under_way_is_asked_for_again(table, keeper, bus):
    """The answer may be older than the announcement."""
    bus.trusted_until = 1e9
    keeper.stamps["t"] = "old"
    keeper.meanwhile = lambda: table.expect({"t": "new"})
    table.current(["t"])
    keeper.meanwhile = None
    keeper.stamps["t"] = "new"
    assert is_current(table, (("", keeper.stamps[""]), ("t", "new")))


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


# -- stamps that the authority has lost --------------------------------------------------------------------


@pytest.fixture
def others(bus, clock, keeper):
    """The table of another process."""
    table = StampTable(bus, clock, max_age=2.0, on_changed=lambda *_: None)
    table.keepers = (keeper,)
    return table


def lose(keeper, stamp="made anew"):
    """Evict the stamp of a tag, which another process creates anew and does not announce."""
    keeper.stamps["t"] = stamp


def test_processes_agree_again_on_a_stamp_that_was_evicted(table, others, keeper, bus, changes):
    """The one that remembers the lost stamp looks again when it sees another one, and tells L1."""
    bus.trusted_until = 1e9
    old = table.current(["t"])
    lose(keeper)
    new = others.current(["t"])
    assert not is_current(others, old)
    assert is_current(table, new)
    assert changes[-1] == {"t": "made anew"}
    assert not is_current(table, old)
    assert table.current(["t"]) == new


def test_an_outdated_entry_is_no_reason_to_ask_at_each_read(table, keeper, bus, clock):
    """Its stamp was refuted a moment ago; another one may be the current one, and is asked for."""
    bus.trusted_until = 1e9
    table.current(["t"])
    outdated, reads = (("t", "replaced long ago"),), keeper.reads
    for _ in range(10):
        assert not is_current(table, outdated)
    assert keeper.reads == reads + 1
    clock.advance(1.1)
    for _ in range(10):
        assert not is_current(table, outdated)
    assert keeper.reads == reads + 2
    lose(keeper)
    assert is_current(table, (("t", "made anew"),))


def test_a_stamp_is_not_looked_at_twice_for_one_answer(table, keeper, bus):
    """What was asked for anyway is as new as it can be; nor is an authority that is away asked again."""
    assert not is_current(table, (("t", "replaced"),))
    assert keeper.reads == 1
    table.doubt()
    calls = []
    keeper.read_stamps = lambda *_: calls.append(1)
    assert not is_current(table, (("t", "replaced"),))
    assert len(calls) == 1


def test_what_was_refuted_is_remembered_within_bounds(bus, clock, keeper):
    """However many outdated entries are read."""
    bus.trusted_until = 1e9
    table = StampTable(bus, clock, on_changed=lambda *_: None, capacity=100)
    table.keepers = (keeper,)
    table.current(["t"])
    for number in range(500):
        assert not is_current(table, (("t", f"outdated {number}"),))
    assert len(table._refuted) <= 100


@pytest.mark.parametrize("ask", [lambda table: table.current(["t"]), lambda table: table.before_load(["t"])])
def test_who_writes_asks_again_once_in_a_while(table, keeper, bus, clock, ask):
    """A process that only writes never sees that others take its entries for absent."""
    bus.trusted_until = 1e9
    ask(table)
    lose(keeper)
    clock.advance(59)
    reads = keeper.reads
    ask(table)
    assert keeper.reads == reads
    clock.advance(2)
    assert dict(ask(table))["t"] == "made anew"
    assert keeper.reads == reads + 1


# -- many entries at once ----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_known", [False, True])
def test_the_stamps_of_many_entries_are_asked_for_at_once(table, others, keeper, bus, is_known):
    """One round trip for those that are not known, and one for those that are and differ."""
    bus.trusted_until = 1e9
    tags = [f"t{number}" for number in range(100)]
    batch = {others.current([tag]) for tag in tags}
    if is_known:
        table.current(tags)
    outdated = {((tag, "replaced"),) for tag in tags}
    reads = keeper.reads
    assert table.current_among(batch | outdated) == batch
    assert keeper.reads == reads + 1


# -- tags that are known only after a load -----------------------------------------------------------------


def invalidate(keeper, *tags):
    """Replace stamps at the authority in the order in which another process does."""
    for tag, stamp in StampTable.mint(tags).items():
        keeper.stamps[tag] = stamp


def test_the_stamp_of_any_tag_is_minted_first(table):
    """Whoever sees it unchanged knows that no tag was replaced before; `clear` replaces no tag."""
    assert list(table.mint(["a", "b"])) == [ANY_TAG, "a", "b"]
    assert list(table.mint([NAMESPACE])) == [NAMESPACE]
    assert list(table.mint([NAMESPACE, "a"])) == [ANY_TAG, NAMESPACE, "a"]
    assert len(set(table.mint(["a", "b"]).values())) == 3


def test_a_late_tag_has_the_stamp_it_had_before_the_load(table, keeper, bus):
    """Known to this process or not, as long as no tag was invalidated meanwhile."""
    bus.trusted_until = 1e9
    table.current(["known"])
    keeper.stamps["elsewhere"] = "there"
    before = table.before_load(["given"])
    assert set(before) == {NAMESPACE, "given", ANY_TAG}
    assert table.since(before, ["known", "elsewhere", "new"]) == {
        "known": "known-made",
        "elsewhere": "there",
        "new": "new-made",
    }


def test_no_late_tag_is_no_question(table, keeper):
    """It costs nothing, even if something was invalidated."""
    before = table.before_load([])
    invalidate(keeper, "t")
    reads = keeper.reads
    assert table.since(before, []) == {}
    assert keeper.reads == reads


@pytest.mark.parametrize("tag", ["late", "other"])
def test_what_was_invalidated_since_is_not_vouched_for(table, keeper, bus, tag):
    """Though the bus has not brought it yet, and though it may be another tag: nobody can tell."""
    bus.trusted_until = 1e9
    table.current(["late"])
    before = table.before_load([])
    invalidate(keeper, tag)
    assert table.since(before, ["late"]) is None


def test_an_invalidation_that_comes_while_late_tags_are_read_is_noticed(table, keeper, bus):
    """Read in the other order, a replaced stamp could be taken for the one before the load."""
    bus.trusted_until = 1e9
    before = table.before_load([])
    # After the answer to the first question, and before the second one.
    keeper.meanwhile = lambda: invalidate(keeper, "late") if keeper.reads == 2 else None
    assert table.since(before, ["late"]) is None


def test_a_half_done_invalidation_is_noticed(table, keeper, bus):
    """Another process has replaced the stamp of any tag and not yet that of the tag."""
    bus.trusted_until = 1e9
    before = table.before_load([])
    keeper.stamps[ANY_TAG] = "replaced"
    assert table.since(before, ["late"]) is None


def test_an_older_invalidation_that_was_not_heard_yet_only_forgets(table, keeper, bus):
    """What this process believes of any tag may lag: then nothing is stored, which is never wrong."""
    bus.trusted_until = 1e9
    table.before_load([])
    invalidate(keeper, "other")
    before = table.before_load([])
    assert table.since(before, ["late"]) is None
    before = table.before_load([])
    assert table.since(before, ["late"]) == {"late": "late-made"}


def test_without_an_authority_late_tags_are_the_processs_own():
    """An invalidation here is noticed likewise."""
    table = StampTable(None, SystemClock(), on_changed=lambda *_: None)
    before = table.before_load([])
    assert is_current(table, tuple(table.since(before, ["late"]).items()))
    before = table.before_load([])
    table.expect(table.mint(["late"]))
    assert table.since(before, ["late"]) is None


def test_in_an_outage_of_the_authority_nothing_is_proved(table, keeper):
    """Another process that still reaches it may have invalidated the tag: nobody here can tell."""
    keeper.is_up = False
    before = table.before_load([])
    assert table.since(before, ["late"]) is None


@pytest.mark.parametrize("failing", [1, 2])
def test_an_answer_that_is_lost_after_the_load_proves_nothing(table, keeper, bus, failing):
    """What is remembered of any tag is from before the load, and so would be what it is compared with."""
    bus.trusted_until = 1e9
    table.current(["late"])
    before = table.before_load([])
    invalidate(keeper, "late")
    answers = iter([failing != 1, failing != 2, True])

    def read_stamps(tags, seed=None):
        return Keeper.read_stamps(keeper, tags, seed) if next(answers) else None

    keeper.read_stamps = read_stamps
    assert table.since(before, ["late"]) is None


def test_an_outage_that_ends_during_the_load_proves_nothing(table, keeper):
    """What was believed before it is not what the authority has."""
    keeper.is_up = False
    before = table.before_load([])
    keeper.is_up = True
    assert table.since(before, ["late"]) is None
