"""What `explain` says of a key, in each state that a key can be in, and that it changes none of them."""

import json
import math
import subprocess
import sys
import threading

import psycopg
import pytest
import redis

from greencache import MISSING, CacheManager, CacheTier, ViewSpec
from greencache.backends.breaker import BreakerState
from greencache.bus.local import LocalBus, LocalHub
from greencache.errors import InvalidationPending, InvalidKeyError
from greencache.inspection import Freshness
from greencache.journal import Outcome
from greencache.testing import DoubleRedisTier, FakeClock, RedisDouble, wait_until
from greencache.tiers.memory import MemoryTier
from greencache.tiers.replayer import Replayer

HOLDER = """
import sys
from greencache import CacheManager

def load():
    print("loading", flush=True)
    sys.stdin.readline()
    return 1

with CacheManager.from_urls(l3=sys.argv[1], l4=sys.argv[2], namespace="explained") as cache:
    cache.get_or_load("a", load)
"""

TABLES = """
select (select json_agg(e order by key)::text from greencache.entries as e),
    (select json_agg(s order by tag)::text from greencache.stamps as s)
"""


@pytest.fixture
def clock():
    """A clock that stands still until it is moved."""
    return FakeClock()


@pytest.fixture
def cache(clock):
    """A cache in memory."""
    with CacheManager(clock=clock) as cache:
        yield cache


@pytest.fixture
def make_cache(clock):
    """Make caches as of several processes that share one server and hear each other at once."""
    server, hub = RedisDouble(), LocalHub()
    made = []

    def make(*, bus=True, server=server):
        tiers = [MemoryTier(clock=clock), DoubleRedisTier(server, clock=clock)]
        made.append(CacheManager(tiers, bus=LocalBus(hub) if bus else None, clock=clock))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def deep(redis_servers, postgres_url):
    """A cache over servers of all kinds."""
    with CacheManager.from_urls(
        l2=redis_servers().url, l3=redis_servers().url, l4=postgres_url, namespace="explained"
    ) as cache:
        yield cache.initialize(strict=True)


# -- entries ---------------------------------------------------------------------------------------------


def test_a_key_that_nobody_has_is_a_miss(cache):
    """And a key that cannot be one is refused."""
    explanation = cache.explain("a")
    assert explanation.answered_by is None
    assert explanation["L1"].entry is None
    assert explanation["L1"].verdict == "does not have it"
    assert (explanation.flight, explanation.reads) == (None, ())
    with pytest.raises(InvalidKeyError):
        cache.explain("")


def test_age_freshness_size_and_cost_are_told(cache, clock):
    """Of a value that was loaded a while ago."""

    def load():
        clock.advance(0.5)
        return "value"

    cache.get_or_load("a", load, ttl=10, stale_ttl=20)
    clock.advance(4)
    entry = cache.explain("a")["L1"].entry
    assert entry.freshness is Freshness.FRESH
    assert entry.age == pytest.approx(4)
    assert entry.fresh_for == pytest.approx(6)
    assert entry.kept_for == pytest.approx(26)
    assert entry.cost == pytest.approx(0.5)
    assert entry.size == cache.get_usage()[CacheTier.L1].size


@pytest.mark.parametrize(
    ("elapsed", "freshness", "answered_by"),
    [
        (0, Freshness.FRESH, CacheTier.L1),
        (9, Freshness.DUE, CacheTier.L1),
        (11, Freshness.STALE, None),
        (31, Freshness.GONE, None),
    ],
)
def test_each_stage_of_ageing_has_its_name(cache, clock, elapsed, freshness, answered_by):
    """And says whether a read would still be answered by it."""
    cache.set("a", 1, ttl=10, stale_ttl=20, refresh_ahead=0.8)
    clock.advance(elapsed)
    explanation = cache.explain("a")
    assert explanation["L1"].entry.freshness is freshness
    assert explanation.answered_by is answered_by


def test_what_never_expires_is_fresh_for_ever(cache):
    """No infinity reaches JSON."""
    cache.set("a", 1, ttl=None)
    entry = cache.explain("a")["L1"].entry
    assert (entry.fresh_for, entry.kept_for) == (None, None)
    assert "fresh for ever" in str(cache.explain("a"))


def test_each_tier_is_told_by_itself(deep):
    """With the size that the value takes there."""
    deep.set("a", "value", ttl=1000)
    wait_until(lambda: deep.explain("a").bus.is_joined, reason="the bus is heard")
    explanation = deep.explain("a")
    assert [(tier.tier, tier.kind) for tier in explanation.tiers] == [
        (CacheTier.L1, "memory"),
        (CacheTier.L2, "redis"),
        (CacheTier.L3, "redis"),
        (CacheTier.L4, "postgres"),
    ]
    assert all(tier.would_answer and tier.is_reachable for tier in explanation.tiers)
    assert all(tier.entry.age < 60 for tier in explanation.tiers)
    left = [tier.entry.fresh_for for tier in explanation.tiers]
    assert left == [pytest.approx(seconds, abs=30) for seconds in (60, 300, 1000, 1000)]
    assert len({tier.entry.size for tier in explanation.tiers[1:]}) == 1


def test_an_entry_that_cannot_be_read_here_is_told_with_its_times(redis_url, clock):
    """Such as one of a class that this process does not know."""
    from greencache.codecs import Codec, Signer

    with CacheManager.from_urls(l1=None, l3=redis_url, namespace="explained", max_staleness=None) as cache:
        cache.set("a", 1)
        tier = cache._engine.stack.shared[0].tier
        tier._border._codec = Codec(signer=Signer([b"k" * 32]))
        found = cache.explain("a")["L3"]
        assert found.verdict.startswith("cannot be read here: not signed")
        assert cache.get_stats()["L3"].undecodable == 0


# -- stamps ----------------------------------------------------------------------------------------------


def test_the_tag_that_was_invalidated_is_named(make_cache):
    """Beside those that still prove the entry."""
    cache = make_cache()
    cache.set("a", 1, tags=["users", "berlin"])
    before = cache.explain("a")["L3"].entry
    assert {stamp.tag: stamp.is_current for stamp in before.stamps} == {
        "": True,
        "users": True,
        "berlin": True,
    }
    cache.invalidate(tags=["users"])
    explanation = cache.explain("a")
    after = explanation["L3"].entry
    assert [stamp.tag for stamp in after.outdated] == ["users"]
    assert after.outdated[0].carried == {s.tag: s.carried for s in before.stamps}["users"]
    assert after.outdated[0].current not in (None, after.outdated[0].carried)
    assert explanation["L1"].entry is None
    assert explanation.answered_by is None
    assert explanation.stamps_from == "L3"
    assert "outdated by tag users" in str(explanation)
    assert "tag users was invalidated: the entry has" in str(explanation)
    assert "current: the namespace, tag berlin" in str(explanation)


def test_an_invalidation_that_was_not_heard_yet_shows_in_l1(make_cache, clock):
    """L1 is explained by what the authority says, also when this process does not know it."""
    deaf, other = make_cache(bus=False), make_cache()
    deaf.set("a", 1, tags=["users"])
    other.invalidate(tags=["users"])
    explanation = deaf.explain("a")
    assert [stamp.tag for stamp in explanation["L1"].entry.outdated] == ["users"]
    assert "not heard of that yet" in explanation["L1"].verdict
    assert explanation.answered_by is CacheTier.L1


def test_without_the_authority_the_last_known_stamps_are_compared(make_cache, clock):
    """And it is said that they are this process's."""
    server = RedisDouble()
    cache = make_cache(server=server)
    cache.set("a", 1, tags=["users"])
    server.is_down = True
    explanation = cache.explain("a")
    assert explanation.stamps_from == "this process"
    assert all(stamp.is_current for stamp in explanation["L1"].entry.stamps)


# -- leases and flights ----------------------------------------------------------------------------------


def test_who_is_on_the_way_down_in_this_process_is_told(cache):
    """How many share L1's lease, and which thread leads the load, for how long."""
    entered, leave = threading.Event(), threading.Event()

    def load():
        entered.set()
        leave.wait(10)
        return 1

    thread = threading.Thread(target=cache.get_or_load, args=("a", load), name="the loading one")
    thread.start()
    try:
        assert entered.wait(10)
        explanation = cache.explain("a")
        assert explanation.flight.leader == "the loading one"
        assert 0 <= explanation.flight.since < 10
        assert (explanation["L1"].lease.holders, explanation["L1"].lease.left) == (1, None)
        assert "1 on the way down in this process" in str(explanation)
    finally:
        leave.set()
        thread.join()
    explanation = cache.explain("a")
    assert (explanation.flight, explanation["L1"].lease) == (None, None)


def test_the_process_that_holds_a_lease_is_named(redis_url, postgres_url):
    """With the time that it has left, in Redis and in PostgreSQL."""
    with (
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, redis_url, postgres_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as holder,
        CacheManager.from_urls(l3=redis_url, l4=postgres_url, namespace="explained") as cache,
    ):
        assert holder.stdout.readline() == "loading\n"
        explanation = cache.explain("a")
        host = explanation.process.rpartition(":")[0]
        for tier in ("L3", "L4"):
            lease = explanation[tier].lease
            assert lease.holder == f"{host}:{holder.pid}"
            assert 0 < lease.left <= 10
        assert f"held by {host}:{holder.pid}, ends in" in str(explanation)
        holder.communicate("go on\n", timeout=30)
        assert [cache.explain("a")[tier].lease for tier in ("L3", "L4")] == [None, None]


# -- outages ---------------------------------------------------------------------------------------------


def test_a_tier_that_is_down_is_a_finding_with_its_breaker_and_what_waits_for_it(redis_servers):
    """Which drops wait, and which of them concern this key."""
    server = redis_servers()
    with CacheManager.from_urls(l3=server.url, namespace="explained") as cache:
        cache.initialize(strict=True)
        cache.mset({"user:1": 1, "other": 2}, tags=["users"])
        server.kill()
        for how in ({"keys": ["user:1"]}, {"pattern": "us*"}, {"pattern": "x*"}, {"keys": ["third"]}):
            with pytest.raises(InvalidationPending):
                cache.invalidate(*how.get("keys", ()), pattern=how.get("pattern"))
        explanation = cache.explain("user:1")
        found = explanation["L3"]
        assert not found.is_reachable
        assert found.verdict.startswith("out of reach: ")
        assert found.waiting == 4
        assert sorted(found.covering) == ["key:user:1", "pattern:us*"]
        assert "4 to be dropped, of this key:" in str(explanation)
        wait_until(
            lambda: cache.explain("user:1")["L3"].breaker.state is not BreakerState.CLOSED,
            reason="the breaker opens",
        )
        assert cache.explain("user:1")["L3"].breaker.reason
        assert json.dumps(cache.explain("user:1").as_dict())


def test_a_lost_bus_shows_for_how_long_l1_is_believed(redis_servers):
    """And L1 is explained all the same when it is not believed."""
    server = redis_servers()
    with CacheManager.from_urls(l2=redis_servers().url, l3=server.url, namespace="explained") as cache:
        cache.initialize(strict=True)
        cache.set("a", 1)
        cache.get("a")
        before = cache.explain("a").bus
        assert (before.kind, before.is_joined) == ("redis", True)
        assert 0 < before.trusted_for <= 2
        assert before.applied >= 1
        server.kill()
        wait_until(lambda: cache.explain("a").bus.trusted_for <= 0, reason="trust has run out")
        explanation = cache.explain("a")
        assert "lost, trusted until" in str(explanation)
        assert explanation["L1"].entry.freshness is Freshness.FRESH
        # The authority cannot be asked, so what cannot be proved is served.
        assert "degraded" in explanation["L1"].verdict
        assert explanation.answered_by is CacheTier.L1
        assert cache.get("a") == 1


def test_before_the_first_use_nothing_of_a_host_is_believed(redis_servers):
    """A process that has only just begun says so, and begins nothing."""
    l2, l3 = redis_servers().url, redis_servers().url
    with CacheManager.from_urls(l2=l2, l3=l3, namespace="explained") as writer:
        writer.initialize(strict=True)
        writer.set("a", 1)
    with CacheManager.from_urls(l2=l2, l3=l3, namespace="explained") as cache:
        explanation = cache.explain("a")
        assert (explanation.bus.is_joined, explanation.bus.trusted_for) == (False, None)
        assert explanation["L2"].entry is not None
        assert explanation["L2"].verdict.startswith("not believed")
        assert explanation.answered_by is CacheTier.L3
        assert cache._engine.bus._daemon.thread is None


def test_what_is_remembered_as_missing_is_told_as_that(cache):
    """It answers that there is nothing, not with something."""
    cache.get_or_load_many(["k"], lambda _: {}, negative_ttl=60)
    explanation = cache.explain("k")
    found = explanation["L1"]
    assert found.entry.is_absence
    assert "remembered as missing" in str(found.entry)
    assert found.verdict.startswith("answers that there is nothing, for ")
    assert "answered by L1: remembered as missing.\n" in str(explanation)
    assert cache.get("k", MISSING) is MISSING


# -- views -----------------------------------------------------------------------------------------------


def test_a_view_tells_its_row_and_that_a_drop_hides_it(postgres_url):
    """The table of the same tier is told beside it."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("create materialized view factor as select 'DE'::text as region, 381.0 as value")
        connection.execute("create unique index on factor (region)")
    view = ViewSpec(name="factor", template="factor:{region}", value="value")
    with CacheManager.from_urls(l4=postgres_url, views=[view], namespace="explained") as cache:
        assert "before the cache has created its tables" in cache.explain("factor:DE").tiers[1].verdict
        cache.initialize(strict=True)
        explanation = cache.explain("factor:DE")
        assert [tier.kind for tier in explanation.tiers] == ["memory", "view", "postgres"]
        assert explanation["L4"].kind == "view"
        assert explanation.answered_by is CacheTier.L4
        cache.invalidate("factor:DE")
        explanation = cache.explain("factor:DE")
        assert "hidden until factor is refreshed" in explanation.tiers[1].verdict
        assert explanation.answered_by is None


# -- the journal, and how it is told ---------------------------------------------------------------------


def test_what_the_last_reads_did_is_told_with_its_time(cache, clock):
    """The newest last."""
    cache._engine.journal.note("a", Outcome.MISSED)
    clock.advance(3)
    cache._engine.journal.note(
        "a", Outcome.NOT_STORED, CacheTier.L1, seconds=0.25, detail="dropped meanwhile"
    )
    first, second = cache.explain("a").reads[-2:]
    assert (first.ago, first.outcome) == (3, Outcome.MISSED)
    assert (second.tiers, second.seconds, second.detail) == ((CacheTier.L1,), 0.25, "dropped meanwhile")
    text = str(cache.explain("a"))
    assert "not stored in L1, 250 ms: dropped meanwhile" in text
    assert "hits in L1 are not recorded" in text


def test_an_explanation_is_json_and_has_no_values_and_no_control_characters(deep):
    """It may be printed, logged and sent: values are nobody's business, and keys may be hostile."""
    key = "a\x1b[31m\nb"
    deep.set(key, "the secret value", tags=["t\r\n"])
    explanation = deep.explain(key)
    assert "secret" not in str(explanation) + json.dumps(explanation.as_dict())
    assert all(line.isprintable() for line in str(explanation).split("\n"))
    assert explanation.as_dict()["tiers"][0]["tier"] == "L1"
    with pytest.raises(KeyError):
        CacheManager().explain("a")["L2"]


# -- no consequences -------------------------------------------------------------------------------------


def _server_state(urls):
    state = []
    for url in urls:
        with redis.Redis.from_url(url) as client:
            names = sorted(name for name in client.scan_iter("gc:*") if not name.startswith(b"gc:b:"))
            state.append([(name, client.dump(name)) for name in names])
    return state


def test_explaining_changes_nothing(redis_servers, postgres_url):
    """No counter, no mark, no promotion, no lease, no stamp, no replay; not in any tier."""
    l2, l3 = redis_servers(), redis_servers()
    urls = {"l2": l2.url, "l3": l3.url, "l4": postgres_url}
    with CacheManager.from_urls(**urls, namespace="explained") as writer:
        writer.initialize(strict=True)
        writer.set("a", 1, tags=["users"], ttl=600)
    with CacheManager.from_urls(**urls, namespace="explained") as cache:
        cache.initialize(strict=True)
        cache.set("mine", 1, tags=["users"], ttl=600)
        engine, entry = cache._engine, cache._engine.peek("mine")
        order = list(engine.stack.memory._entries.index)
        entry.marked = 0
        with redis.Redis.from_url(l3.url) as client:
            # A stamp that is lost must not be made anew by a look.
            client.delete(*client.scan_iter("gc:s:*users*"))
        with psycopg.connect(postgres_url, autocommit=True) as database:
            before = (cache.get_stats(), _server_state([l2.url, l3.url]), database.execute(TABLES).fetchone())
            for key in ("a", "mine", "nothing"):
                for _ in range(3):
                    cache.explain(key)
            after = (cache.get_stats(), _server_state([l2.url, l3.url]), database.execute(TABLES).fetchone())
        assert after == before
        assert entry.marked == 0
        assert list(engine.stack.memory._entries.index) == order
        assert engine.peek("a") is None
        assert engine.stack.memory._leases == {}
        assert len(engine.journal.recent("nothing")) == 0


def test_explaining_makes_no_tables_and_replays_no_drops(postgres_url):
    """A look at a database that the cache has never used leaves it as it was."""
    with CacheManager.from_urls(l4=postgres_url, namespace="explained") as cache:
        explanation = cache.explain("a")
        assert explanation["L4"].is_reachable
        assert explanation["L4"].entry is None
    with psycopg.connect(postgres_url) as connection:
        [(count,)] = connection.execute("select count(*) from pg_namespace where nspname = 'greencache'")
        assert count == 0


def test_waiting_drops_stay_waiting(make_cache, monkeypatch):
    """Replaying them is the business of the next read, not of a look."""
    monkeypatch.setattr(Replayer, "wake", lambda *_, **__: None)
    server = RedisDouble()
    cache = make_cache(server=server)
    cache.set("a", 1)
    server.is_down = True
    with pytest.raises(InvalidationPending):
        cache.delete("a")
    server.is_down = False
    for _ in range(2):
        found = cache.explain("a")["L3"]
        assert found.verdict.startswith("not read before 1 waiting drops")
        assert found.covering == ("key:a",)
    assert server.values
    assert math.isfinite(found.entry.fresh_for)
