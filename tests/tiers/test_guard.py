"""A tier behind its guard: outages, and other servers that take the place of its own."""

import math

import pytest

from greencache import MISSING, CacheManager, InvalidationPending
from greencache.entry import Entry
from greencache.errors import ServerReplyError, TierUnavailableError
from greencache.events import EventKind
from greencache.keys import Pattern
from greencache.testing import FakeClock, wait_until
from greencache.testing.doubles import DoubleRedisTier, RedisDouble
from greencache.tiers.base import Status
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.pending import Pending, PendingDrops
from greencache.tiers.replayer import Replayer
from greencache.typing import CacheTier


@pytest.fixture(autouse=True)
def idle_replayer(monkeypatch):
    """Nothing is replayed before the tier is used."""
    monkeypatch.setattr(Replayer, "wake", lambda *_, **__: None)


def entry(value):
    """Return an entry that never ends."""
    return Entry(value, fresh_until=math.inf)


class Watch:
    """Tells of another server when the test says so."""

    def __init__(self):
        self.changes = 0
        self._subscribers = []

    def subscribe(self, on_successor, on_unknown):
        """Take note of who wants to know."""
        self._subscribers.append((on_successor, on_unknown))

    def notice(self, server="other"):
        """Tell as a thread does that opens a connection."""
        self.changes += 1
        for on_successor, _ in self._subscribers:
            on_successor(server)
        self.changes += 1

    def give_up(self):
        """Tell that nobody can know."""
        for _, on_unknown in self._subscribers:
            on_unknown("INFO is forbidden")


class Tier(DoubleRedisTier):
    """A tier whose server can be replaced, before or during a call."""

    def __init__(self, **options):
        super().__init__(**options)
        self.watch = Watch()
        self.calls = []
        self.during = []
        """What happens during the next calls, one each."""
        self.acknowledges = True

    def _note(self, name, *what):
        self.calls.append((name, *what))
        if self.during:
            self.during.pop(0)()

    def get_many(self, keys):
        """Read, and let happen what is to happen."""
        self._note("get", *keys)
        return super().get_many(keys)

    def reserve_many(self, keys):
        """Reserve likewise."""
        keys = list(keys)
        self._note("reserve", *keys)
        return super().reserve_many(keys)

    def put_many(self, entries):
        """Put likewise."""
        self._note("put", *entries)
        return super().put_many(entries)

    def drop_many(self, keys):
        """Drop likewise."""
        keys = list(keys)
        self._note("drop", *keys)
        return super().drop_many(keys)

    def drop_matching(self, pattern):
        """Drop likewise."""
        self._note("match", pattern.text)
        return super().drop_matching(pattern)

    def await_replica(self, timeout):
        """Return what the test says."""
        self._note("await", timeout)
        return self.acknowledges


class Notes:
    """Keeps events."""

    def __init__(self):
        self.events = []

    def record(self, event):
        """Keep one."""
        self.events.append(event)


class Scene:
    """A guarded tier, its clock, its events, and what was replayed to it."""

    def __init__(self, kind=Tier, **options):
        self.clock = FakeClock()
        self.tier = kind(clock=self.clock)
        self.notes = Notes()
        self.replayed = []
        self.guarded = GuardedTier(
            self.tier,
            clock=self.clock,
            recorder=self.notes,
            current_among=lambda batch: batch,
            stamp=tuple,
            collapse=lambda: Pending(patterns=[Pattern("*")]),
            on_replayed=lambda pending: self.replayed.append(pending.describe()),
            **options,
        )

    def put(self, key, value):
        """Store a value past the guard, as if the other server had it."""
        DoubleRedisTier.put_many(self.tier, {key: entry(value)})


@pytest.fixture
def scene():
    """A guarded tier of this test's own."""
    return Scene()


def test_what_was_dropped_is_replayed_before_another_server_is_read(scene):
    """Each key once, the latest last, and told to whoever announces it."""
    scene.guarded.drop_many(["a", "b"])
    scene.guarded.drop_matching(Pattern("c*"))
    scene.guarded.replace_stamps({"t": "1"})
    scene.put("a", "old")
    scene.tier.watch.notice()
    assert scene.guarded.waiting == ("key:a", "key:b", "pattern:c*", "stamp:t")
    assert scene.guarded.get_many(["a"]) == ({}, {})
    assert scene.replayed == [("key:a", "key:b", "pattern:c*", "stamp:t")]


def test_a_put_is_replayed_as_a_drop(scene):
    """The other server has the value before it."""
    scene.guarded.put_many({"a": entry("new")})
    scene.put("a", "old")
    scene.tier.watch.notice()
    assert scene.guarded.get_many(["a"]) == ({}, {})


def test_a_read_that_notices_another_server_is_asked_again(scene):
    """What it has found there may have been dropped before."""
    scene.guarded.drop_many(["a"])
    scene.put("a", "old")
    scene.tier.during = [scene.tier.watch.notice]
    assert scene.guarded.look(["a"]) == ({}, {})
    assert [call[0] for call in scene.tier.calls] == ["drop", "get", "drop", "get"]


def test_a_read_that_notices_servers_without_end_finds_nothing(scene):
    """Nobody asks for ever."""
    scene.guarded.drop_many(["a"])
    scene.put("a", "old")
    scene.tier.during = [lambda: scene.tier.watch.notice(str(len(scene.tier.calls)))] * 100
    assert scene.guarded.look(["a"]) == ({}, {})
    assert len(scene.tier.calls) < 10


def test_a_lease_is_not_asked_for_again(scene):
    """The other server would refuse what it has just given."""
    scene.tier.during = [scene.tier.watch.notice]
    assert list(scene.guarded.reserve_many(["a"])) == ["a"]
    assert scene.tier.calls == [("reserve", "a")]


class OwingTier(Tier):
    """A tier that keeps what it owes."""

    def __init__(self, **options):
        super().__init__(**options)
        self.owed = {}

    def owe(self, leases):
        """Take leases to be given up later."""
        self.owed.update(leases)

    def release_many(self, leases):
        """Give up, and note that."""
        self._note("release", *leases)
        super().release_many(leases)


@pytest.fixture
def owing():
    """A guarded tier that keeps what it owes, while another thread tells it of a drop."""
    scene = Scene(OwingTier)
    scene.leases = scene.guarded.reserve_many(["a", "b"])
    scene.guarded.queue(Pending(keys=["other"]))
    assert scene.guarded._pending.begin(Pending())
    return scene


def test_leases_are_given_up_while_another_thread_replays(owing):
    """Who waits for them need not wait until they end; nothing is stored before what was missed is told."""
    assert owing.guarded.fill_many({"a": entry(1)}, owing.leases) is None
    assert set(owing.guarded.tier.reserve_many(["a", "b"])) == {"a"}
    owing.guarded.release_many({"b": owing.leases["b"]})
    assert set(owing.guarded.tier.reserve_many(["a", "b"])) == {"b"}
    assert not owing.tier.server.values
    assert not owing.tier.owed


@pytest.mark.parametrize("is_noticed", [True, False])
def test_leases_are_owed_by_a_tier_that_is_away(owing, is_noticed):
    """Whether the tier was asked for that, and so knows of it, or not."""
    owing.tier.server.is_down = True
    if is_noticed:
        assert owing.guarded.drop_many(["more"]) is None
        assert owing.guarded.status is Status.DOWN
    owing.tier.calls.clear()
    assert owing.guarded.fill_many({"a": entry(1)}, owing.leases) is None
    owing.guarded.release_many({"b": owing.leases["b"]})
    assert owing.tier.owed == owing.leases
    assert owing.tier.calls == ([] if is_noticed else [("release", "a")])


def test_a_drop_is_remembered_before_it_is_made(scene):
    """Another server noticed in the middle of it gets it too, whichever one has had it."""
    scene.tier.during = [scene.tier.watch.notice]
    assert scene.guarded.drop_many(["a"]) == 0
    assert ("key:a",) in scene.replayed


def test_a_drop_that_begins_while_others_are_told_is_told_too(scene):
    """It may still go to the former server, and the count that it sees does not change until it is over."""
    watch = scene.tier.watch
    watch.changes += 1
    scene.tier.during = [lambda: [on_successor("other") for on_successor, _ in watch._subscribers]]
    scene.guarded.drop_many(["a"])
    scene.put("a", "old")
    assert scene.guarded.look(["a"]) == ({}, {})


@pytest.mark.parametrize("write", ["drop", "match", "put", "stamp"])
def test_a_write_during_which_another_server_was_noticed_is_dropped_there(scene, write):
    """It may have reached the former one, though all that was remembered had been replayed before."""
    writes = {
        "drop": (lambda: scene.guarded.drop_many(["a"]), 0, "key:a"),
        "match": (lambda: scene.guarded.drop_matching(Pattern("a*")), 0, "pattern:a*"),
        "put": (lambda: scene.guarded.put_many({"a": entry("new")}), set(), "key:a"),
        "stamp": (lambda: scene.guarded.replace_stamps({"a": "1"}), 0, "stamp:a"),
    }
    call, answer, replayed = writes[write]

    def notice_late():
        # The others have heard of it before this write was remembered.
        scene.tier.watch.changes += 1

    scene.tier.during = [notice_late]
    if write == "stamp":
        replace = scene.tier.replace_stamps
        scene.tier.replace_stamps = lambda stamps: (scene.tier._note("stamp"), replace(stamps))
    assert call() == answer
    assert scene.replayed == [(replayed,)]


def test_what_was_replayed_is_remembered_for_the_next_failover():
    """The server that it was replayed to may be succeeded before it has passed it on."""
    scene = Scene(failover_window=60.0)
    scene.guarded.drop_many(["a"])
    scene.clock.advance(50)
    scene.tier.watch.notice("second")
    scene.guarded.look(["x"])
    scene.clock.advance(50)
    scene.put("a", "old")
    scene.tier.watch.notice("third")
    assert scene.guarded.look(["a"]) == ({}, {})


def test_what_is_older_than_the_window_is_not_replayed():
    """A replica that lags so far is none."""
    scene = Scene(failover_window=60.0)
    scene.guarded.drop_many(["a"])
    scene.clock.advance(61)
    scene.tier.watch.notice()
    assert scene.guarded.waiting == ()


def test_without_a_window_other_servers_are_ignored():
    """Whoever wants no replay gets none."""
    scene = Scene(failover_window=0.0)
    scene.guarded.drop_many(["a"])
    scene.tier.watch.notice()
    assert scene.guarded.waiting == ()
    assert scene.notes.events == []


def test_another_server_is_told_once(scene):
    """However many threads have noticed it."""
    for _ in range(3):
        scene.tier.watch.notice("second")
    scene.tier.watch.notice("third")
    servers = [e.detail["server"] for e in scene.notes.events if e.kind is EventKind.SERVER_CHANGED]
    assert servers == ["second", "third"]


def test_that_nobody_can_notice_is_told(scene):
    """As a feature that is missing."""
    scene.tier.watch.give_up()
    (event,) = scene.notes.events
    assert (event.kind, event.tier) == (EventKind.FEATURE_MISSING, CacheTier.L3)
    assert "INFO is forbidden" in event.detail["reason"]


def test_waiting_for_a_replica_replays_first_and_begins_anew_with_another_server(scene):
    """What the former server's replica has says nothing about this one's."""
    scene.guarded.drop_many(["a"])
    scene.tier.during = [scene.tier.watch.notice]
    assert scene.guarded.await_replica(1.0)
    assert [call[0] for call in scene.tier.calls] == ["drop", "await", "drop", "await"]


def test_an_outage_is_no_acknowledgement(scene):
    """Whoever asks must not take it for one."""
    scene.tier.during = [scene.tier.server.__class__(is_down=True).require]
    assert scene.guarded.await_replica(1.0) is False


def test_a_tier_without_replicas_is_durable_by_itself():
    """It has committed what it has acknowledged."""
    cache = CacheManager([DoubleRedisTier()])
    assert cache.invalidate("a", durable=True) == 0


LOSSES = {
    "keys": (lambda cache: cache.invalidate("a", "b"), {"key:a", "key:b"}),
    "pattern": (lambda cache: cache.invalidate(pattern="a*"), {"pattern:a*"}),
    "tags": (lambda cache: cache.invalidate(tags=["t", "u"]), {"stamp:t", "stamp:u"}),
    "clear": (lambda cache: cache.clear(), {"everything"}),
    "delete": (lambda cache: cache.delete("a"), {"key:a"}),
    "mdelete": (lambda cache: cache.mdelete(["a", "b"]), {"key:a", "key:b"}),
    "set": (lambda cache: cache.set("a", 1), {"key:a"}),
    "mset": (lambda cache: cache.mset({"a": 1, "b": 2}), {"key:a", "key:b"}),
    "set above": (lambda cache: cache.set("a", 1, tier=CacheTier.L2), {"key:a"}),
    "write": (lambda cache: cache.write("a", 1, lambda _: None), {"key:a"}),
}


@pytest.mark.parametrize("how", LOSSES)
def test_what_could_not_be_done_is_named_and_done_later(how):
    """What the error says is what is queued, and when the tier is back it is done."""
    host, shared, clock = RedisDouble("host"), RedisDouble("shared"), FakeClock()
    tiers = [
        DoubleRedisTier(host, name=CacheTier.L2, clock=clock),
        DoubleRedisTier(shared, name=CacheTier.L3, clock=clock),
    ]
    cache = CacheManager(tiers, clock=clock)
    cache.mset({"a": "old", "b": "old"}, tags=["t", "u"])
    shared.is_down = True
    forget, expected = LOSSES[how]
    with pytest.raises(InvalidationPending, match="everywhere but in L3") as caught:
        forget(cache)
    assert {name: set(waiting) for name, waiting in caught.value.pending.items()} == {"L3": expected}
    shared.is_down = False
    assert cache._engine.stack.authority.replay()
    assert cache.get("a", MISSING) != "old"
    assert cache.health_check()["L3"].waiting == ()
    assert CacheManager([tiers[1]], clock=clock).get("a", MISSING) is MISSING


def test_what_was_replayed_while_the_call_went_on_is_not_called_pending(scene, monkeypatch):
    """Nothing waits any more, so there is nothing to say."""
    monkeypatch.undo()
    shared, clock = RedisDouble("shared"), FakeClock()
    cache = CacheManager([DoubleRedisTier(shared, clock=clock)], clock=clock)
    guarded = cache._engine.stack.authority
    queue = guarded._backlog.queue

    def queue_and_replay(pending):
        queue(pending)
        shared.is_down = False
        wait_until(guarded.replay, reason="another thread has replayed it")

    monkeypatch.setattr(guarded._backlog, "queue", queue_and_replay)
    shared.is_down = True
    assert cache.invalidate("a") == 0


def test_a_replay_reaches_nearer_tiers_too():
    """Others may have read the dropped value where it was still, and have brought it there."""
    host, shared, clock = RedisDouble("host"), RedisDouble("shared"), FakeClock()

    def cache():
        return CacheManager(
            [
                DoubleRedisTier(host, name=CacheTier.L2, clock=clock),
                DoubleRedisTier(shared, name=CacheTier.L3, clock=clock),
            ],
            clock=clock,
        )

    mine, neighbour = cache(), cache()
    mine.set("a", "old")
    shared.is_down = True
    with pytest.raises(InvalidationPending):
        mine.invalidate("a")
    shared.is_down = False
    assert neighbour.get("a") == "old"
    assert host.values
    assert mine._engine.stack.authority.replay()
    assert mine.get("a", MISSING) is MISSING


def test_a_replay_that_is_ended_as_it_begins_leaves_the_next_one_free(scene, monkeypatch):
    """A thread or greenlet can be ended anywhere; the tier would never be read again."""
    begin = PendingDrops.begin

    def begin_and_end(self, *args):
        begin(self, *args)
        monkeypatch.undo()
        monkeypatch.setattr(Replayer, "wake", lambda *_, **__: None)
        raise KeyboardInterrupt

    scene.guarded.queue(Pending(keys=["a"]))
    monkeypatch.setattr(PendingDrops, "begin", begin_and_end)
    with pytest.raises(KeyboardInterrupt):
        scene.guarded.replay()
    assert scene.guarded.replay()
    assert scene.guarded.waiting == ()


def test_what_is_lost_at_the_end_is_counted(scene):
    """The first ten are named."""
    scene.tier.server.is_down = True
    scene.guarded.drop_many([f"k{number}" for number in range(150)])
    scene.guarded.close()
    (event,) = [each for each in scene.notes.events if each.kind is EventKind.INVALIDATION_LOST]
    assert event.detail["count"] == 150
    assert event.detail["lost"] == tuple(f"key:k{number}" for number in range(10))


class PromptTier(Tier):
    """A tier that reserves and looks at once."""

    def reserve_and_get(self, keys):
        """Do both."""
        self._note("reserve and get", *keys)
        return DoubleRedisTier.reserve_many(self, keys), DoubleRedisTier.get_many(self, keys)


@pytest.fixture
def prompt():
    """A scene with such a tier."""
    return Scene(PromptTier)


def test_a_tier_that_reserves_and_looks_at_once_is_asked_once(prompt):
    """What it found of keys without a lease is nobody's business."""
    prompt.put("a", 1)
    prompt.put("b", 2)
    DoubleRedisTier.reserve_many(prompt.tier, ["b"])
    leases, found = prompt.guarded.reserve_and_get(["a", "b", "c"])
    assert set(leases) == {"a", "c"}
    fresh, stale = prompt.guarded.judged(found)
    assert ({key: each.value for key, each in fresh.items()}, stale) == ({"a": 1}, {})
    assert prompt.tier.calls == [("reserve and get", "a", "b", "c")]


def test_what_another_server_has_answered_with_the_leases_is_not_believed(prompt):
    """It may not have been told yet what it lacks: it is looked for again, after that."""
    prompt.guarded.drop_many(["a"])
    prompt.put("a", "old")
    prompt.tier.during = [prompt.tier.watch.notice]
    leases, found = prompt.guarded.reserve_and_get(["a"])
    assert (set(leases), found) == ({"a"}, None)
    assert prompt.guarded.look(["a"]) == ({}, {})


def test_a_tier_for_which_drops_wait_is_asked_step_by_step(prompt):
    """The long way knows what may be asked apart from them."""
    prompt.guarded.queue(Pending(keys=["a"]))
    assert prompt.guarded.reserve_and_get(["a"]) is None
    assert prompt.tier.calls == []


def test_in_an_outage_nobody_is_granted_anything(prompt):
    """As by `reserve_many`."""

    def fail():
        raise TierUnavailableError("away")

    prompt.tier.during = [fail]
    assert prompt.guarded.reserve_and_get(["a"]) == (None, None)


def test_a_tier_that_cannot_do_both_at_once_is_asked_step_by_step(scene):
    """Such as the table of PostgreSQL."""
    assert scene.guarded.reserve_and_get(["a"]) is None
    assert scene.tier.calls == []


class Lineage:
    """Knows whether another server has what its predecessor was told."""

    def __init__(self, *, is_kept=True, known="mark"):
        self.known = known
        self.is_kept = is_kept
        self.asked = []
        self.error = None

    def mark(self):
        """Return what must be there."""
        return self.known

    def goes_on_from(self, mark):
        """Return whether it is."""
        self.asked.append(mark)
        if self.error is not None:
            raise self.error
        return self.is_kept


def test_what_another_server_lacks_and_nobody_remembers_makes_all_of_it_forgotten():
    """Although nothing was dropped within the window."""
    scene = Scene(lineage=Lineage(is_kept=False))
    scene.put("a", "old")
    scene.tier.watch.notice()
    assert scene.guarded.get_many(["a"]) == ({}, {})
    # Another thread may be at it.
    wait_until(scene.guarded.replay, reason="all is replayed")
    assert scene.guarded.get_many(["a"]) == ({}, {})
    assert scene.replayed == [("pattern:*",)]


def test_another_server_that_has_everything_is_told_only_what_was_dropped_lately():
    """The rest of it is believed."""
    scene = Scene(lineage=Lineage())
    scene.guarded.drop_many(["b"])
    scene.put("a", "kept")
    scene.tier.watch.notice()
    wait_until(scene.guarded.replay, reason="all is replayed")
    assert list(scene.guarded.get_many(["a"])[0]) == ["a"]
    assert scene.replayed == [("key:b",)]


def test_a_server_that_cannot_be_compared_is_not_read():
    """Until it can be; and each of two successors is compared with what came before the first."""
    lineage = Lineage(known="first")
    scene = Scene(lineage=lineage)
    lineage.error = TierUnavailableError("away")
    scene.put("a", "kept")
    scene.tier.watch.notice("second")
    assert scene.guarded.get_many(["a"]) == ({}, {})
    lineage.known = "later"
    scene.tier.watch.notice("third")
    lineage.error = None
    wait_until(scene.guarded.replay, reason="it is compared")
    assert list(scene.guarded.get_many(["a"])[0]) == ["a"]
    assert set(lineage.asked) == {"first", "later"}


def test_of_what_is_unknown_nothing_is_proved():
    """A process that has never listened remembers all that it has dropped itself, or nothing."""
    lineage = Lineage(is_kept=False, known=None)
    scene = Scene(lineage=lineage)
    scene.put("a", "kept")
    scene.tier.watch.notice()
    assert list(scene.guarded.get_many(["a"])[0]) == ["a"]
    assert lineage.asked == []


def test_a_server_that_takes_no_writes_is_not_read_before_it_is_compared():
    """Although it answers: what is to be forgotten there cannot be, and is not known by its keys."""
    lineage = Lineage(is_kept=False)
    scene = Scene(lineage=lineage)
    scene.put("a", "old")

    def refuse(*_):
        raise ServerReplyError("READONLY")

    scene.tier.drop_matching = refuse
    scene.tier.watch.notice()
    assert not scene.guarded.replay()
    assert scene.guarded.look(["a"]) == ({}, {})
    assert scene.guarded.look(["a"]) == ({}, {})
    del scene.tier.drop_matching
    wait_until(scene.guarded.replay, reason="everything is forgotten")
    assert scene.guarded.look(["a"]) == ({}, {})


def test_a_write_does_not_wait_for_drops_that_another_thread_replays(scene):
    """Else it would be queued itself, and writers in a loop would keep each other from ever being told."""
    scene.guarded.queue(Pending(keys=["a"]))
    pending = scene.guarded._pending
    replay = Pending()
    wait_until(lambda: not pending or pending.begin(replay), reason="this thread is at the replay")
    scene.guarded.queue(Pending(keys=["a"]))
    assert scene.guarded.drop_many(["b"]) == 0
    assert scene.guarded.put_many({"c": entry(1)}) == {"c"}
    assert scene.guarded.waiting == ("key:a",)
    assert scene.guarded.get_many(["c"]) == ({}, {})  # reads wait
