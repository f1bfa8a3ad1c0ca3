"""What a dry run of an invalidation counts, and that it removes nothing."""

import contextlib

import psycopg
import pytest

from greencache import CacheManager, CacheTier, ViewSpec
from greencache.errors import InvalidKeyError
from greencache.testing import DoubleRedisTier, FakeClock, RedisDouble
from greencache.tiers.memory import MemoryTier

L1, L2, L3, L4 = CacheTier


@pytest.fixture
def clock():
    """A clock that stands still until it is moved."""
    return FakeClock()


@pytest.fixture
def deep(redis_servers, postgres_url):
    """A cache over servers of all kinds."""
    with CacheManager.from_urls(
        l2=redis_servers().url, l3=redis_servers().url, l4=postgres_url, namespace="dry"
    ) as cache:
        yield cache.initialize(strict=True)


def test_entries_are_counted_in_every_tier_and_stay(deep):
    """By key, by pattern and by tag; after it, everything is still served."""
    deep.mset({"user:1": 1, "user:2": 2}, tags=["users"])
    deep.mset({"order:1": 3, "user:*": 4}, tags=["orders"])
    before = deep.get_stats()
    assert deep.invalidate("order:1", "nothing", dry_run=True) == {L1: 1, L2: 1, L3: 1, L4: 1}
    assert deep.invalidate(pattern="user:?", dry_run=True) == {L1: 3, L2: 3, L3: 3, L4: 3}
    assert deep.invalidate(pattern=r"user:\*", dry_run=True) == {L1: 1, L2: 1, L3: 1, L4: 1}
    assert deep.invalidate(tags=["users", "unknown"], dry_run=True) == {L1: 2, L2: 2, L3: 2, L4: 2}
    assert deep.invalidate(dry_run=True) == {L1: 0, L2: 0, L3: 0, L4: 0}
    assert deep.get_stats() == before
    assert deep.mget(["user:1", "user:2", "order:1", "user:*"]) == {
        "user:1": 1, "user:2": 2, "order:1": 3, "user:*": 4,
    }  # fmt: skip


def test_an_entry_counts_once_however_it_is_meant(deep):
    """By its key, by the pattern and by two tags at once."""
    deep.set("user:1", 1, tags=["users", "berlin"])
    deep.set("user:2", 2, tags=["users"])
    assert deep.invalidate("user:1", pattern="user:*", tags=["users", "berlin"], dry_run=True) == {
        L1: 2, L2: 2, L3: 2, L4: 2,
    }  # fmt: skip


def test_what_is_counted_is_what_then_goes(deep):
    """For keys and patterns together with the real thing."""
    deep.mset({f"user:{number}": number for number in range(1_200)})
    counts = deep.invalidate("user:7", pattern="user:1*", dry_run=True)
    assert max(counts.values()) == 311 + 1
    assert deep.invalidate("user:7", pattern="user:1*") == 312
    assert max(deep.invalidate("user:7", pattern="user:1*", dry_run=True).values()) == 0


def test_tiers_differ_where_their_contents_do(deep):
    """A tier that never had an entry does not count it."""
    deep.set("a", 1, tier=L2, tags=["t"])
    deep.set("b", 2, tags=["t"])
    assert deep.invalidate("a", "b", dry_run=True) == {L1: 2, L2: 2, L3: 1, L4: 1}
    assert deep.invalidate(tags=["t"], dry_run=True) == {L1: 2, L2: 2, L3: 1, L4: 1}


def test_what_was_invalidated_before_is_not_counted_for_its_tags_again(deep):
    """It lies in Redis until it expires, but no reader has it."""
    deep.set("a", 1, tags=["t"])
    deep.invalidate(tags=["t"])
    assert set(deep.invalidate(tags=["t"], dry_run=True).values()) == {0}
    deep.set("b", 1, tags=["t"])
    deep.clear()
    assert set(deep.invalidate(tags=["t"], dry_run=True).values()) == {0}


def test_what_is_gone_is_not_counted(clock):
    """An entry past its time is nobody's any more, though memory may still hold it."""
    with CacheManager(clock=clock) as cache:
        cache.set("a", 1, ttl=1, tags=["t"])
        clock.advance(2)
        for how in ({"pattern": "*"}, {"tags": ["t"]}):
            assert cache.invalidate(**how, dry_run=True) == {L1: 0}
        assert cache.invalidate("a", dry_run=True) == {L1: 0}


def test_what_is_remembered_as_missing_is_not_counted(deep):
    """By key, by pattern or by tag: nobody would miss it."""
    how = {"negative_ttl": 60, "tags": ["t"]}
    deep.get_or_load_many(["key:none", "key:some"], lambda _: {"key:some": 1}, **how)
    only_one = {L1: 1, L2: 1, L3: 1, L4: 1}
    assert deep.invalidate("key:none", "key:some", dry_run=True) == only_one
    assert deep.invalidate(pattern="key:*", dry_run=True) == only_one
    assert deep.invalidate(tags=["t"], dry_run=True) == only_one
    assert deep.invalidate("key:none", pattern="key:n*", tags=["t"], dry_run=True) == only_one


def test_what_cannot_be_read_is_counted_where_a_pattern_removes_it(deep):
    """Whatever it is, it goes."""
    deep.set("key", 1)
    deep._engine.stack.shared[1].tier._manager.execute("SET", "gc:v:{dry:key}", "broken")
    assert deep.invalidate(pattern="k*", dry_run=True) == {L1: 1, L2: 1, L3: 1, L4: 1}


def test_a_tier_that_does_not_answer_is_left_out(clock):
    """Nobody takes silence for a zero; and nothing is queued or raised."""
    server = RedisDouble()
    with CacheManager([MemoryTier(clock=clock), DoubleRedisTier(server, clock=clock)], clock=clock) as cache:
        cache.set("a", 1, tags=["t"])
        server.is_down = True
        assert cache.invalidate("a", tags=["t"], dry_run=True) == {L1: 1}
        server.is_down = False
        assert cache.invalidate("a", tags=["t"], dry_run=True) == {L1: 1, L3: 1}
        assert cache._engine.stack.shared[0].waiting == ()


def test_a_look_marks_nothing_in_l1_and_makes_no_tables(clock, postgres_url):
    """Neither the eviction policy nor the database notices."""
    with CacheManager(clock=clock) as cache:
        cache.set("a", 1, tags=["t"])
        entry = cache._engine.peek("a")
        entry.marked = 0
        cache.invalidate("a", pattern="*", tags=["t"], dry_run=True)
        assert entry.marked == 0
    with CacheManager.from_urls(l4=postgres_url) as cache:
        assert cache.invalidate("a", pattern="*", tags=["t"], dry_run=True) == {L1: 0, L4: 0}
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select 1 from pg_namespace where nspname = 'greencache'").fetchall() == []


def test_wrong_arguments_are_refused_as_ever():
    """A dry run is no way around the checks."""
    with CacheManager() as cache, pytest.raises(InvalidKeyError):
        cache.invalidate(tags="users", dry_run=True)


@pytest.fixture
def viewed(postgres_url):
    """A cache over a view of 2,501 rows, one of them without a key."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "create materialized view factor as"
            " select case when n = 0 then null else 'R' || n end as region, n as value"
            " from generate_series(0, 2500) as n"
        )
        connection.execute("create unique index on factor (region)")
    view = ViewSpec(name="factor", template="factor:{region}", value="value")
    with contextlib.closing(CacheManager.from_urls(l4=postgres_url, views=[view], namespace="dry")) as cache:
        yield cache.initialize(strict=True)


def test_rows_of_a_view_count_where_a_drop_would_hide_them(viewed):
    """Rows that exist and are not hidden yet, beside the entries of the table."""
    assert viewed.invalidate("factor:R1", "factor:none", dry_run=True) == {L1: 0, L4: 1}
    assert viewed.invalidate(pattern="factor:R?", dry_run=True) == {L1: 0, L4: 9}
    assert viewed.invalidate(pattern="*", dry_run=True) == {L1: 0, L4: 2_500}
    assert viewed.invalidate(tags=["any"], dry_run=True) == {L1: 0, L4: 0}
    viewed.invalidate("factor:R1")
    viewed.invalidate(pattern="factor:R2*")
    # R1, and R2, R20 to R29, R200 to R299, R2000 to R2500.
    assert viewed.invalidate(pattern="*", dry_run=True) == {L1: 0, L4: 2_500 - 1 - (1 + 10 + 100 + 501)}
    assert viewed.get("factor:R3") == 3
