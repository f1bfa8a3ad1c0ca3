"""Another server takes the place of Redis, and has not got the last writes: nothing dropped comes back."""

import contextlib
import itertools
import threading

import pytest

from greencache import MISSING, NotReplicatedError
from greencache.backends.redis_names import RedisNames
from greencache.backends.redis_watch import ServerWatch
from greencache.errors import InvalidationPending
from greencache.events import EventKind
from greencache.testing import wait_until
from greencache.tiers.replayer import Replayer
from tests.faults.pair import Notes, Pair

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

KEY = "user:1"
VALUE = RedisNames("failover").value(KEY)

FORGETTING = {
    "key": lambda cache: cache.invalidate(KEY),
    "pattern": lambda cache: cache.invalidate(pattern="user:*"),
    "tag": lambda cache: cache.invalidate(tags=["users"]),
    "clear": lambda cache: cache.clear(),
    "put": lambda cache: cache.set(KEY, "new"),
}
READS = 50


@pytest.fixture
def pair(redis_servers):
    """A primary and a replica behind one address."""
    with contextlib.ExitStack() as stack:
        yield Pair(redis_servers, stack)


@pytest.fixture
def unguarded(monkeypatch):
    """Nobody notices another server."""
    monkeypatch.setattr(ServerWatch, "note", lambda *_: None)


@pytest.fixture
def without_replayer(monkeypatch):
    """Nothing is replayed before somebody uses the tier."""
    monkeypatch.setattr(Replayer, "wake", lambda *_, **__: None)


def forgotten(pair, how, **options):
    """Return a cache that has forgotten a key, of which a replica that is primary now knows nothing."""
    cache = pair.cache(**options)
    cache.set(KEY, "old", tags=["users"])
    pair.cut()
    FORGETTING[how](cache)
    return cache


def reads_after(cache):
    """Return what is read from now on, until the tier has answered a number of times."""
    seen = []

    def has_answered():
        before = cache.get_stats()["L3"].errors
        seen.append(cache.get(KEY, MISSING))
        return cache.get_stats()["L3"].errors == before

    for number in range(READS):
        wait_until(has_answered, deadline=30, reason=f"read {number} is answered")
    return seen


@pytest.mark.parametrize("gone", ["killed", "hung", "left"])
@pytest.mark.parametrize("how", FORGETTING)
def test_nothing_forgotten_comes_back_after_a_failover(pair, figure, how, gone):
    """Whatever became of the former primary, the forgetting process never reads the value again."""
    cache = forgotten(pair, how)
    pair.fail_over(gone)
    seen = reads_after(cache)
    if gone == "left":
        pair.proxy.drop()
        seen += reads_after(cache)
    stale = seen.count("old")
    scenario = {"killed": "36", "hung": "37", "left": "38"}[gone]
    figure(scenario, f"stale reads of who has forgotten by {how}", stale, "reads", "== 0", reads=len(seen))


@pytest.mark.parametrize("how", FORGETTING)
@pytest.mark.usefixtures("unguarded")
def test_without_the_guard_it_comes_back(pair, figure, how):
    """So the test above would notice it."""
    cache = forgotten(pair, how)
    pair.fail_over()
    wait_until(lambda: cache.get(KEY, MISSING) == "old", deadline=30, reason="the old value is back")
    figure(
        "P10", f"unguarded stale reads, forgotten by {how}", reads_after(cache).count("old"), "reads", ">= 1"
    )


@pytest.mark.parametrize("how", FORGETTING)
def test_the_very_call_that_notices_the_failover_returns_nothing_old(pair, how):
    """Nobody else is there to notice it: there is no bus."""
    cache = forgotten(pair, how, bus=None)
    pair.fail_over()
    errors = cache.get_stats()["L3"].errors
    assert cache.get(KEY, MISSING) is MISSING
    assert cache.mget([KEY, "other"]) == {}
    assert cache.get_stats()["L3"].errors == errors


@pytest.mark.parametrize("how", FORGETTING)
def test_an_idle_process_repeats_what_it_has_forgotten(pair, how):
    """Its bus notices the other server, although nobody calls the cache."""
    forgotten(pair, how)
    other = pair.cache(l3=pair.replica.url)
    assert other.get(KEY) == "old"
    pair.fail_over()
    wait_until(
        lambda: other.get(KEY, MISSING) is MISSING, deadline=20, reason="the idle process has replayed"
    )


@pytest.mark.usefixtures("unguarded")
def test_an_idle_process_without_the_guard_repeats_nothing(pair):
    """Also when its bus is back."""
    notes = Notes()
    forgotten(pair, "key", recorder=notes)
    pair.fail_over()
    wait_until(lambda: notes.of(EventKind.BUS_GAP), deadline=20, reason="the bus is back")
    assert pair.cache().get(KEY) == "old"


def test_another_process_that_has_read_the_old_value_is_told(pair, without_replayer):
    """It may have read it between the failover and the replay; the replay is announced like any drop."""
    notes = Notes()
    cache, reader = forgotten(pair, "key"), pair.cache(l1="1MB", l2=pair.host(), recorder=notes)
    pair.fail_over()
    # What it has read before the gap in its log it forgets anyway.
    wait_until(lambda: notes.of(EventKind.BUS_BACK), deadline=30, reason="the reader's bus is back")
    wait_until(lambda: reader.get(KEY, MISSING) == "old", deadline=30, reason="the reader is back")
    wait_until(
        lambda: cache.get(KEY, MISSING) is MISSING and not _waiting(cache), deadline=30, reason="replayed"
    )
    wait_until(lambda: reader.get(KEY, MISSING) is MISSING, deadline=10, reason="the reader was told")


def _waiting(cache):
    return cache.health_check()["L3"].waiting


def test_a_lease_that_was_voided_on_the_former_primary_brings_nothing_back(pair, without_replayer):
    """On the other server it is good, and is filled with; the replay removes that."""
    cache, loading = pair.cache(bus=None), pair.cache(bus=None)
    has_begun, may_end = threading.Event(), threading.Event()

    def load():
        has_begun.set()
        assert may_end.wait(60)
        return "old"

    thread = threading.Thread(target=loading.get_or_load, args=(KEY, load), daemon=True)
    thread.start()
    assert has_begun.wait(30)
    pair.cut()
    cache.invalidate(KEY)
    pair.fail_over()
    may_end.set()
    thread.join(60)
    assert pair.read(VALUE) is not None
    assert cache.get(KEY, MISSING) is MISSING
    assert pair.read(VALUE) is None


def test_a_server_that_was_in_between_another_ones_replica_is_noticed(pair):
    """It is the same process, with the data of the other one."""
    cache = forgotten(pair, "key", bus=None)
    pair.fail_back()
    assert pair.read(VALUE) is not None
    assert cache.get(KEY, MISSING) is MISSING


def test_failovers_one_after_the_other_bring_nothing_back(pair):
    """What was replayed to one server is remembered for the next."""
    cache = forgotten(pair, "key", bus=None)
    for _ in range(2):
        pair.fail_over("left")
        pair.proxy.drop()
        assert cache.get(KEY, MISSING) is MISSING
        pair.fail_back()
        assert cache.get(KEY, MISSING) is MISSING


def test_a_failover_is_told_once(pair):
    """With how many drops were replayed, however many connections have noticed it."""
    notes = Notes()
    cache = forgotten(pair, "key", recorder=notes)
    assert notes.of(EventKind.SERVER_CHANGED) == []
    pair.fail_over()
    barrier = threading.Barrier(8)

    def read():
        barrier.wait(30)
        cache.get(KEY)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    wait_until(lambda: notes.of(EventKind.INVALIDATION_REPLAYED), deadline=30, reason="replayed")
    (change,) = notes.of(EventKind.SERVER_CHANGED)
    assert (change.tier.name, change.detail["drops"]) == ("L3", 1)


def test_threads_that_read_through_a_failover_see_nothing_old(pair, figure):
    """Pooled connections are opened by many at once."""
    cache = forgotten(pair, "key")
    seen, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            seen.append(cache.get(KEY, MISSING))

    threads = [threading.Thread(target=read, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(seen) > 200, reason="threads read")
    pair.fail_over()
    before = cache.get_stats()["L3"].misses
    wait_until(lambda: cache.get_stats()["L3"].misses > before + 500, deadline=40, reason="they read on")
    reads_after(cache)
    stop.set()
    for thread in threads:
        thread.join(30)
    figure("P10", "stale reads by 8 threads", seen.count("old"), "reads", "== 0", reads=len(seen))


def test_invalidations_acknowledged_through_failovers_hold(pair, figure):
    """Each of many, whichever server it has reached."""
    cache = pair.cache()
    keys = [f"k{number}" for number in range(300)]
    cache.mset(dict.fromkeys(keys, "old"))
    pair.cut()
    acknowledged, failed_over = [], False
    for number, key in enumerate(keys):
        with contextlib.suppress(InvalidationPending):
            cache.invalidate(key)
        acknowledged.append(key)
        if number == len(keys) // 2:
            pair.fail_over()
            failed_over = True
    assert failed_over
    wait_until(lambda: not _waiting(cache) and cache.mget(keys) is not None, deadline=40, reason="replayed")
    reads_after(cache)
    stale = [key for key, value in cache.mget(acknowledged).items() if value == "old"]
    figure("P10", "invalidations undone by a failover", len(stale), "keys", "== 0", of=len(keys))


def test_a_restarted_server_is_used_on(pair):
    """The replay does no harm: what is stored afterwards stays."""
    notes = Notes()
    cache = forgotten(pair, "key", recorder=notes)
    pair.primary.kill()
    pair.primary.start()
    wait_until(lambda: notes.of(EventKind.SERVER_CHANGED), deadline=30, reason="the restart is noticed")
    numbers = itertools.count()

    def is_kept():
        cache.get_or_load(KEY, lambda: next(numbers))
        return cache.get(KEY, MISSING) is not MISSING

    wait_until(is_kept, deadline=30, reason="it is cached again")


def test_a_user_who_may_not_ask_who_answers_is_told_so_once(pair):
    """And the cache works."""
    notes = Notes()
    pair.ask(pair.primary, "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-info")
    url = pair.url.replace("redis://", "redis://app:secret@")
    cache = pair.cache(l3=url, recorder=notes)
    assert cache.get_or_load(KEY, lambda: "new") == "new"
    assert cache.get(KEY) == "new"
    pair.proxy.drop()
    wait_until(lambda: cache.get(KEY, MISSING) == "new", deadline=30, reason="connections are opened anew")
    (missing,) = notes.of(EventKind.FEATURE_MISSING)
    assert "permission" in missing.detail["reason"]
    assert "secret" not in missing.detail["reason"]


DURABLE = {
    "key": lambda cache: cache.invalidate(KEY, durable=True),
    "pattern": lambda cache: cache.invalidate(pattern="user:*", durable=True),
    "tag": lambda cache: cache.invalidate(tags=["users"], durable=True),
    "delete": lambda cache: cache.delete(KEY, durable=True),
    "mdelete": lambda cache: cache.mdelete([KEY], durable=True),
    "clear": lambda cache: cache.clear(durable=True),
    "set": lambda cache: cache.set(KEY, "new", durable=True),
    "mset": lambda cache: cache.mset({KEY: "new"}, durable=True),
}


@pytest.mark.parametrize("how", DURABLE)
@pytest.mark.usefixtures("unguarded")
def test_what_is_durable_survives_a_failover_that_nobody_notices(pair, how):
    """A replica has acknowledged it, so nobody needs to repeat it."""
    cache = pair.cache(bus=None)
    cache.set(KEY, "old", tags=["users"])
    DURABLE[how](cache)
    # Not waited for: the replica has it.
    pair.ask(pair.replica, "REPLICAOF", "NO", "ONE")
    pair.fail_over()
    assert pair.cache(bus=None).get(KEY, MISSING) in (MISSING, "new")


@pytest.mark.parametrize("how", DURABLE)
def test_what_no_replica_acknowledges_is_done_and_said(pair, how):
    """The tier is named, and the value is gone nevertheless."""
    cache = pair.cache()
    cache.set(KEY, "old", tags=["users"])
    pair.replica.pause()
    with pytest.raises(NotReplicatedError, match="done everywhere, but no replica of L3") as caught:
        DURABLE[how](cache)
    assert caught.value.tiers == ("L3",)
    assert cache.get(KEY, MISSING) in (MISSING, "new")


def test_without_any_replica_nothing_is_durable(redis_servers, pair):
    """A lone server acknowledges for nobody."""
    cache = pair.cache(l3=redis_servers().url)
    cache.set(KEY, "old")
    with pytest.raises(NotReplicatedError):
        cache.invalidate(KEY, durable=True)
    assert cache.get(KEY, MISSING) is MISSING


def test_a_durable_drop_of_what_was_not_there_is_acknowledged_too(pair):
    """What another connection has removed lately may be there on the replica."""
    cache = pair.cache(bus=None)
    cache.set(KEY, "old", durable=True)
    pair.replica.pause()
    pair.ask(pair.primary, "UNLINK", VALUE)
    with pytest.raises(NotReplicatedError):
        cache.invalidate(KEY, durable=True)


def test_a_durable_drop_that_waits_for_the_tier_says_that(pair):
    """It was not even done there."""
    cache = pair.cache()
    cache.set(KEY, "old")
    pair.primary.kill()
    with pytest.raises(InvalidationPending) as caught:
        cache.invalidate(KEY, durable=True)
    assert caught.value.pending == {"L3": (f"key:{KEY}",)}


def test_postgresql_is_durable_by_its_commit(postgres_url, pair):
    """There is nobody to wait for."""
    cache = pair.cache(l3=None, l4=postgres_url)
    cache.set(KEY, "old")
    cache.invalidate(KEY, durable=True)
    assert cache.get(KEY, MISSING) is MISSING
