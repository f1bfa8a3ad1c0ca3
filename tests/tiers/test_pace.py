"""A tier that answers late: noticed, told, passed by while the authority is quicker, found quick again."""

import pytest

from greencache import CacheManager
from greencache.errors import ConfigurationError
from greencache.events import EventKind
from greencache.testing import FakeClock
from greencache.testing.doubles import DoubleRedisTier
from greencache.tiers.base import Status
from greencache.tiers.pace import Pace, SlowLooks
from greencache.tiers.pending import Pending
from greencache.typing import CacheTier

SLOW = 0.2


class LateTier(DoubleRedisTier):
    """A tier whose looks take as long as the test says."""

    slow_looks = SlowLooks()

    def __init__(self, *args, clock, **options):
        super().__init__(*args, clock=clock, **options)
        self.late = 0.0
        self.looks = 0
        self._now = clock

    def get_many(self, keys):
        """Look, late."""
        self._now.advance(self.late)
        self.looks += 1
        return super().get_many(keys)


class Scene:
    """An L2 before an L3, no L1, so that every read comes to them."""

    def __init__(self):
        self.clock = FakeClock()
        self.events = []
        self.l2 = LateTier(name=CacheTier.L2, clock=self.clock)
        self.l3 = LateTier(name=CacheTier.L3, clock=self.clock)
        self.cache = CacheManager([self.l2, self.l3], clock=self.clock, recorder=self)

    def record(self, event):
        """Keep what is told of paces."""
        if event.kind in (EventKind.TIER_SLOW, EventKind.TIER_QUICK):
            self.events.append(event)

    def told(self):
        """Return what was told, of which tier."""
        return [(event.kind, event.tier) for event in self.events]

    def read(self, times=1, **options):
        """Read a key, and return how often the loader ran and how often L2 was looked at."""
        loads, before = [], self.l2.looks
        for _ in range(times):
            assert self.cache.get_or_load("a", lambda: loads.append(1) or "value", **options) == "value"
        return len(loads), self.l2.looks - before

    def slow_down(self):
        """Let L2 be slow until that is noticed."""
        self.cache.set("a", "value")
        self.l2.late = SLOW
        assert self.read(10) == (0, 10)


@pytest.fixture
def scene():
    """A scene, and its end."""
    scene = Scene()
    yield scene
    scene.cache.close()


@pytest.fixture
def clock():
    """A clock of the test's."""
    return FakeClock()


@pytest.fixture
def changes():
    """What a pace has told."""
    return []


@pytest.fixture
def pace(clock, changes):
    """A pace that counts as slow when three of four looks were."""
    slow = SlowLooks(threshold=0.1, rate=0.75, window=4)
    return Pace(slow, clock, lambda is_quick, reason: changes.append((is_quick, reason)))


# -- what is slow ----------------------------------------------------------------------------------------


def test_a_share_of_slow_looks_makes_it_slow(pace, changes):
    """Not before there were enough looks, and not while fewer of them are slow."""
    for took in (0.2, 0.2, 0.05):
        pace.note(took, 1)
        assert not pace.is_slow
    pace.note(0.05, 1)
    assert not pace.is_slow, "two of four"
    for took in (0.2, 0.2):
        pace.note(took, 1)
    assert not pace.is_slow, "two of four"
    pace.note(0.2, 1)
    assert pace.is_slow
    assert changes == [(False, "3 of the last 4 looks took more than 100 ms, half of them 200 ms and more")]


def test_a_look_for_many_keys_may_take_longer(pace):
    """Twice as long for a hundred more."""
    for _ in range(8):
        pace.note(0.19, 101)
    assert not pace.is_slow
    for _ in range(8):
        pace.note(0.21, 101)
    assert pace.is_slow


def test_one_probe_after_a_second_decides_for_all(pace, clock, changes):
    """A quick one ends it, a slow one doubles the wait; looks of others decide nothing."""
    for _ in range(4):
        pace.note(0.2, 1)
    pace.note(0.01, 1)
    assert pace.is_slow, "it began before"
    assert not pace.allow()
    clock.advance(1.0)
    assert pace.allow()
    assert not pace.allow(), "one is enough"
    pace.note(0.2, 1)
    clock.advance(1.9)
    assert not pace.allow(), "the wait is doubled"
    clock.advance(0.1)
    assert pace.allow()
    pace.note(0.01, 1)
    assert not pace.is_slow
    assert pace.reason == ""
    assert [is_quick for is_quick, _ in changes] == [False, True]


def test_a_probe_that_comes_to_nothing_leaves_it_to_the_next_caller(pace, clock):
    """The tier was away: that tells nothing of its pace."""
    for _ in range(4):
        pace.note(0.2, 1)
    clock.advance(1.0)
    assert pace.allow()
    pace.note_failure()
    assert pace.is_slow
    assert pace.allow()


def test_what_was_slow_once_needs_a_whole_window_to_be_slow_again(pace, clock):
    """What was before is over."""
    for _ in range(4):
        pace.note(0.2, 1)
    clock.advance(1.0)
    assert pace.allow()
    pace.note(0.01, 1)
    for _ in range(3):
        pace.note(0.2, 1)
    assert not pace.is_slow
    pace.note(0.2, 1)
    assert pace.is_slow


def test_without_a_threshold_nothing_is_slow(clock, changes):
    """However long it takes."""
    pace = Pace(SlowLooks(threshold=None), clock, lambda *change: changes.append(change))
    for _ in range(20):
        pace.note(1_000.0, 1)
    assert not pace.is_slow
    assert not changes


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.0}, {"threshold": float("inf")}, {"rate": 0.0}, {"rate": 1.1}, {"window": 0}]
)
def test_settings_that_cannot_be_are_refused(wrong):
    """With what was expected."""
    with pytest.raises(ConfigurationError, match="expected a"):
        SlowLooks(**wrong)


# -- what reads do ---------------------------------------------------------------------------------------


def test_reads_pass_by_a_slow_l2(scene):
    """L3 answers, and no read takes long; it is told once."""
    scene.slow_down()
    began = scene.clock.now()
    assert scene.read(1_000) == (0, 0)
    assert scene.clock.now() == began
    assert scene.told() == [(EventKind.TIER_SLOW, CacheTier.L2)]


def test_probes_find_it_quick_again(scene):
    """One caller pays for each while it lasts."""
    scene.slow_down()
    scene.clock.advance(1.0)
    assert scene.read(100) == (0, 1)
    scene.l2.late = 0.0
    scene.clock.advance(2.0)
    assert scene.read(100) == (0, 100)
    assert scene.told()[1:] == [(EventKind.TIER_QUICK, CacheTier.L2)]


def test_drops_and_writes_reach_a_slow_l2(scene):
    """So what is read there afterwards is never older than what was acknowledged."""
    scene.slow_down()
    scene.cache.invalidate("a")
    scene.cache.set("b", "new")
    assert not scene.cache.health_check()["L2"].waiting
    assert scene.l2.get_many(["a"]) == {}
    assert "b" not in scene.l2.get_many(["b"]) or scene.l2.get_many(["b"])["b"].value == "new"


def test_an_l2_that_is_no_slower_than_what_is_behind_it_is_asked(scene):
    """The process or the network is slow then, and L3 need not bear what L2 does."""
    scene.slow_down()
    scene.l3.late = 2 * SLOW
    scene.read(10)
    before = scene.l2.looks
    scene.read(10)
    assert scene.l2.looks == before + 10


def test_what_was_slow_behind_it_long_ago_does_not_count(scene):
    """L3 is not asked while L2 is, so nobody would learn that it is quick by now."""
    scene.slow_down()
    scene.l3.late = 2 * SLOW
    scene.read(10)
    scene.l3.late = 0.0
    assert scene.read(1) == (0, 1)
    scene.clock.advance(10.0)
    scene.read(1)  # finds out that it still is slow
    assert scene.read(10) == (0, 0)


def test_a_slow_l2_is_asked_while_the_authority_is_away(scene):
    """There is nobody else to ask."""
    scene.slow_down()
    scene.l3.server.is_down = True
    scene.read(1)
    assert scene.read(10)[1] == 10


def test_a_slow_authority_is_asked_as_ever(scene):
    """It elects who loads, and its stamps prove what others have stored; that it is slow is told."""
    scene.cache.set("a", "value", tier=CacheTier.L3)
    scene.l3.late = SLOW
    scene.l2.drop_many(["a"])
    for number in range(20):
        scene.cache.get_or_load(f"other:{number}", lambda: "value")
    before = scene.l3.looks
    for number in range(20, 40):
        scene.cache.get_or_load(f"other:{number}", lambda: "value")
    assert scene.l3.looks >= before + 20
    assert scene.told() == [(EventKind.TIER_SLOW, CacheTier.L3)]


def test_a_slow_tier_behind_the_authority_is_asked_as_ever(scene):
    """There is nothing behind it but the loader."""
    l4 = LateTier(name=CacheTier.L4, clock=scene.clock)
    with CacheManager([scene.l3, l4], clock=scene.clock) as cache:
        l4.late = SLOW
        for number in range(20):
            cache.get(f"other:{number}")
        assert l4.looks == 20


def test_what_is_kept_in_l2_alone_is_looked_for_there(scene):
    """The tiers behind it do not have it."""
    scene.slow_down()
    scene.cache.set("a", "value", tier=CacheTier.L2)
    assert scene.read(10, tier=CacheTier.L2) == (0, 10)


# -- what is said ----------------------------------------------------------------------------------------


def test_health_says_that_it_is_slow(scene):
    """Also when the check itself was quick."""
    scene.slow_down()
    report = scene.cache.health_check()["L2"]
    assert report.status is Status.DEGRADED
    assert report.error == "slow: 10 of the last 10 looks took more than 100 ms, half of them 200 ms and more"
    assert scene.cache.health_check()["L3"].status is Status.UP


def test_an_explanation_says_that_it_is_passed_by(scene):
    """And who answers instead."""
    scene.slow_down()
    explanation = scene.cache.explain("a")
    assert explanation["L2"].verdict.startswith("slow, and passed by: 10 of the last 10 looks")
    assert not explanation["L2"].would_answer
    assert explanation.answered_by is CacheTier.L3


def test_an_outage_is_not_a_look(scene):
    """What is turned away at once says nothing of how quick the tier is."""
    scene.slow_down()
    scene.clock.advance(1.0)
    scene.l2.late, scene.l2.server.is_down = 0.0, True
    assert scene.read(5)[1] == 5, "a probe that comes to nothing leaves it to the next one"
    assert scene.told() == [(EventKind.TIER_SLOW, CacheTier.L2)]


def test_a_look_that_is_not_made_is_no_quick_one(scene):
    """While another thread tells a tier what it has missed, nobody reads it, nor learns how quick it is."""
    scene.slow_down()
    guarded, replay = scene.cache._engine.stack.shared[0], Pending()
    assert guarded.pace.is_slow
    guarded._pending.add(Pending(keys=["other"]))
    assert guarded._pending.begin(replay)
    for _ in range(20):
        scene.clock.advance(2.0)
        assert scene.read() == (0, 0)
    assert guarded.pace.is_slow
    assert guarded.status is Status.UP
    guarded._pending.end(replay, is_told=True)
    scene.l2.late = 0.0
    while guarded.pace.is_slow:
        scene.clock.advance(2.0)
        assert scene.read() == (0, 1)
