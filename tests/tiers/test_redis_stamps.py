"""The stamps that a Redis keeps, where something else is under their names, and how long they live."""

import pytest

from greencache import CacheManager
from greencache.backends.redis import RedisManager
from greencache.backends.redis_names import RedisNames
from greencache.tiers.redis_stamps import RedisStamps


@pytest.fixture
def manager(redis_url):
    """Talks to the server."""
    with RedisManager(redis_url) as manager:
        yield manager


@pytest.fixture
def make_stamps(manager):
    """Make what stands for several processes on one server."""
    return lambda: RedisStamps(manager, RedisNames("app"), lambda names: manager.execute("MGET", *names))


FOREIGN = {
    "no text": lambda manager, name: manager.execute("SET", name, b"\xff\xfe"),
    "nothing": lambda manager, name: manager.execute("SET", name, b""),
    "far too much": lambda manager, name: manager.execute("SET", name, b"x" * 100_000),
    "a list": lambda manager, name: manager.execute("RPUSH", name, "x"),
}


@pytest.mark.parametrize("tag", ["", "t"])
@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_is_no_stamp_is_replaced_by_one(manager, make_stamps, tag, foreign):
    """Once for all processes, like a missing one; but never by one from below, which may be replaced."""
    FOREIGN[foreign](manager, RedisNames("app").stamp(tag))
    assert make_stamps().find([tag, "other"]) == {}
    stamps = make_stamps().read([tag, "other"], lambda _: {tag: "from below"})
    assert stamps[tag] not in ("", "from below")
    assert make_stamps().read([tag, "other"]) == make_stamps().find([tag, "other"]) == stamps


def test_a_cache_works_over_what_is_no_stamp(manager, redis_url):
    """It is absent, and not an error of every call."""
    manager.execute("SET", "gc:s:{ns}:", b"\xff\xfe")
    with CacheManager.from_urls(l3=redis_url, namespace="ns") as cache:
        assert cache.get_or_load("k", lambda: 1) == 1
        cache.set("k", 2)
        assert cache.get("k") == 2


def test_a_stamp_that_is_read_lives_on(manager, make_stamps):
    """It ends a month after its last use, not after its first; what a tool does is no use."""
    stamps = make_stamps()
    stamps.read(["", "a", "b"])
    names = [RedisNames("app").stamp(tag) for tag in ("", "a", "b")]
    for name in names[1:]:
        manager.execute("PEXPIRE", name, 5_000_000)
    stamps.find(["", "a", "b"])
    stamps.read(["", "a"])
    lives = [manager.execute("PTTL", name) for name in names]
    assert lives[0] == -1
    assert 5_000_000 < lives[1] <= 30 * 86_400_000
    assert 0 < lives[2] <= 5_000_000


def noting(calls, original):
    """Return a method that does what another does, and notes each call."""

    def note(*args, **options):
        calls.append(args)
        return original(*args, **options)

    return note


@pytest.fixture
def count_calls(monkeypatch):
    """Count round trips to the server of a manager."""

    def count(manager):
        calls, servers = [], manager._servers
        for name in ("execute", "execute_many"):
            monkeypatch.setattr(servers, name, noting(calls, getattr(servers, name)))
        return calls

    return count


def test_reading_stamps_costs_one_round_trip(manager, make_stamps, count_calls):
    """Though their lives begin anew with it."""
    stamps = make_stamps()
    tags = [f"t{number}" for number in range(900)]
    known = stamps.read(tags)
    calls = count_calls(manager)
    assert stamps.read(tags) == known
    assert len(calls) == 1


def test_stamps_are_read_where_nothing_can_be_written(redis_servers):
    """A primary that waits for its replicas refuses writes; what it has is good."""
    server = redis_servers()
    with RedisManager(server.url) as manager:
        stamps = RedisStamps(manager, RedisNames("app"), lambda names: manager.execute("MGET", *names))
        known = stamps.read(["", "t"])
        manager.execute("CONFIG", "SET", "min-replicas-to-write", "1")
        assert stamps.read(["", "t"]) == known


def test_caches_agree_again_when_a_stamp_was_evicted(manager, redis_url):
    """Whoever asks next creates another one; the others take it over when they see it."""
    with (
        CacheManager.from_urls(l1=None, l3=redis_url, namespace="ns").initialize() as one,
        CacheManager.from_urls(l1=None, l3=redis_url, namespace="ns").initialize() as other,
    ):
        one.set("warm", 1)
        manager.execute("DEL", "gc:s:{ns}:")
        loads = []
        for cache in (one, other) * 5:
            cache.get_or_load("k", lambda: loads.append(1), ttl=600)
        assert len(loads) <= 2
        assert (one.get("warm"), other.get("warm")) == (None, None)


def test_many_entries_with_a_tag_each_are_read_in_few_round_trips(redis_url, count_calls):
    """One for the entries, one for all their stamps."""
    keys = [f"k{number}" for number in range(300)]
    with (
        CacheManager.from_urls(l1=None, l3=redis_url, namespace="ns").initialize() as writer,
        CacheManager.from_urls(l1=None, l3=redis_url, namespace="ns").initialize() as reader,
    ):
        for key in keys:
            writer.set(key, key, tags=[key])
        calls = count_calls(reader._engine.stack.authority.tier._manager)
        assert reader.mget(keys) == {key: key for key in keys}
        assert len(calls) <= 3
