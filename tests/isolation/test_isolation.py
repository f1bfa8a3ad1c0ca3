"""What one caller does to a value, and what others read: for every way a value goes in and comes out."""

import asyncio
import contextlib
import copy
import threading

import pytest

from greencache import CacheManager, IsolationError, SharedValueError, WriteThrough, cached, current_load
from greencache.aio import CacheManager as AsyncCacheManager
from greencache.entry import Entry
from greencache.errors import ConfigurationError
from greencache.isolation import keeper_of
from greencache.isolation.keepers import FrozenEntry, GraphEntry, TreeEntry
from greencache.testing import DoubleRedisTier, FakeClock, RedisDouble, wait_until
from greencache.tiers.memory import MemoryTier
from greencache.typing import NOT_MODIFIED
from tests.isolation.values import GRAPHS, IMMUTABLE, Open

ISOLATIONS = ["frozen", "copy"]


def new():
    """Return a value that can be changed in many places."""
    return {"list": [1], "dict": {"set": {1}}, "pair": ([2],)}


def spoil(value):
    """Change whatever of a value can be changed."""
    changes = [
        lambda: value.update(spoilt=True),
        lambda: value["list"].append("spoilt"),
        lambda: value["dict"]["set"].add("spoilt"),
        value["pair"][0].clear,
    ]
    for change in changes:
        with contextlib.suppress(SharedValueError):
            change()


@pytest.fixture(params=ISOLATIONS)
def isolation(request):
    """Each isolation that keeps callers apart."""
    return request.param


@pytest.fixture
def cache(isolation):
    """A cache in memory."""
    with CacheManager(isolation=isolation) as made:
        yield made


def test_by_reference_all_share_one_object():
    """The default, which costs nothing; the other two are for those who want more."""
    cache, value = CacheManager(), new()
    cache.set("k", value)
    assert cache.get("k") is value


def test_who_stores_a_value_cannot_change_it_afterwards(cache):
    """It keeps a reference, and what it does with it is its own business."""
    value = new()
    cache.set("k", value)
    cache.mset({"m": value})
    spoil(value)
    assert cache.get("k") == new()
    assert cache.get("m") == new()


def test_readers_cannot_change_what_others_read(cache):
    """Whichever way they read."""
    cache.set("k", new())
    for read in (
        lambda: cache.get("k"),
        lambda: cache.mget(["k"])["k"],
        lambda: cache.get_or_load("k", new),
        lambda: cache.get_or_load_many(["k"], dict)["k"],
    ):
        spoil(read())
        assert cache.get("k") == new()


def test_who_loads_a_value_cannot_change_it_afterwards(cache):
    """Neither the caller for whom it was loaded nor the loader, which may keep what it returned."""
    kept = new()
    loaded = cache.get_or_load("k", lambda: kept)
    assert loaded == new()
    spoil(loaded)
    spoil(kept)
    assert cache.get("k") == new()
    many = {"a": new(), "b": new()}
    spoil(cache.get_or_load_many(["a", "b"], lambda _: many)["a"])
    spoil(many["b"])
    assert cache.mget(["a", "b"]) == {"a": new(), "b": new()}
    spoil(cache.refresh("k", new))
    assert cache.get("k") == new()


def test_a_decorated_function_is_kept_apart_too(cache):
    """On a load as well as on a hit."""

    @cached(cache_manager=cache, key="f")
    def function():
        return new()

    for _ in range(3):
        value = function()
        assert value == new()
        spoil(value)


def test_those_who_wait_for_one_load_do_not_share_its_value(isolation):
    """All would get the same object; each spoils what it got before the others look."""
    cache = CacheManager(isolation=isolation)
    begun, together = threading.Event(), threading.Barrier(4)
    found, wrong = [], []

    def loader():
        begun.set()
        # Until the others wait for this load.
        deadline = threading.Event()
        while cache.get_stats().loads.joined < 3 and not deadline.wait(0.01):
            pass
        return new()

    def read():
        try:
            value = cache.get_or_load("k", loader)
            together.wait(30)
            spoil(value)
            together.wait(30)
            found.append(value)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    threads[0].start()
    assert begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert len(found) == 4
    if isolation == "copy":
        assert len({id(value) for value in found}) == 4
        assert all(value["list"] == [1, "spoilt"] for value in found), "each has spoilt its own, once"
    else:
        assert all(value == new() for value in found)
    assert cache.get("k") == new()


def test_a_loader_cannot_change_the_stale_value_that_it_is_shown(isolation):
    """It is served if the loader fails, and kept if the loader confirms it."""
    clock = FakeClock()
    cache = CacheManager([MemoryTier(clock=clock)], isolation=isolation, clock=clock)
    cache.set("k", new(), ttl=1, stale_ttl=100)
    clock.advance(2)

    def fail():
        spoil(current_load().stale["k"])
        raise OSError("the source is down")

    assert cache.get_or_load("k", fail, stale_ttl=100) == new()

    def confirm():
        spoil(current_load().stale["k"])
        return NOT_MODIFIED

    spoil(cache.get_or_load("k", confirm, ttl=10, stale_ttl=100))
    assert cache.get("k") == new()


def test_a_reload_in_the_background_is_kept_apart(isolation):
    """What its loader keeps is its own."""
    clock, kept = FakeClock(), new()
    cache = CacheManager([MemoryTier(clock=clock)], isolation=isolation, clock=clock)
    cache.set("due", {}, ttl=10, refresh_ahead=0.1)
    clock.advance(5)
    cache.get_or_load("due", lambda: kept, ttl=10, refresh_ahead=0.1)
    wait_until(lambda: cache.get("due") != {}, reason="the reload is stored")
    spoil(kept)
    assert cache.get("due") == new()


def test_what_a_deeper_tier_has_is_kept_apart(isolation):
    """On the way up it is stored in L1 and returned: to each its own."""
    server = RedisDouble()
    shared = [DoubleRedisTier(server) for _ in range(2)]
    writer = CacheManager([shared[0]], isolation=isolation)
    writer.set("k", new())
    reader = CacheManager([MemoryTier(), shared[1]], isolation=isolation)
    for _ in range(3):
        value = reader.get("k")
        assert value == new()
        spoil(value)


def test_other_processes_get_plain_values(redis_url):
    """What is frozen here is a dict there, and the other way round."""
    with (
        CacheManager.from_urls(l1=None, l3=redis_url, namespace="iso") as plain,
        CacheManager.from_urls(l3=redis_url, namespace="iso", isolation="frozen") as frozen,
    ):
        frozen.set("from-frozen", new())
        plain.set("from-plain", new())
        assert plain.get("from-frozen") == new()
        assert type(plain.get("from-frozen")["dict"]["set"]) is set
        for _ in range(2):
            value = frozen.get("from-plain")
            spoil(value)
            assert value == new()


def test_write_through_keeps_the_writers_value_apart(isolation):
    """The writer of the source keeps what it was given."""
    cache, rows, value = CacheManager(strategy=WriteThrough(), isolation=isolation), [], new()
    cache.write("k", value, rows.append)
    spoil(rows[0])
    assert cache.get("k") == new()
    assert rows[0] is value


def test_on_an_event_loop(isolation):
    """The same promises, awaited."""

    async def main():
        async with AsyncCacheManager(isolation=isolation) as cache:

            async def load():
                await asyncio.sleep(0)
                return new()

            loaded = await asyncio.gather(*(cache.get_or_load("k", load) for _ in range(3)))
            for value in loaded:
                assert value == new()
                spoil(value)
            spoil(await cache.get("k"))
            spoil((await cache.mget(["k"]))["k"])
            assert await cache.get("k") == new()

    asyncio.run(main())


def test_what_cannot_be_frozen_is_copied_for_each_reader():
    """A caller of a frozen cache cannot change what others read, whatever the class."""
    cache = CacheManager(isolation="frozen")
    for value in GRAPHS:
        cache.set("k", value)
        first, second = cache.get("k"), cache.get("k")
        assert first is not second
        assert first is not value
    cache.set("k", [Open([1])])
    cache.get("k")[0].items.append(2)
    assert cache.get("k")[0].items == [1]


def test_what_is_immutable_is_never_copied(cache):
    """Every reader gets the object itself."""
    for value in IMMUTABLE:
        cache.set("k", value)
        assert cache.get("k") is value


def test_how_a_value_is_kept_is_decided_once():
    """When it is stored: a hit looks at nothing, and a copy of plain containers takes the short way."""
    copying, freezing = keeper_of("copy"), keeper_of("frozen")
    assert [copying.keep(value)[0] for value in (1, [1], Open([]))] == [Entry, TreeEntry, GraphEntry]
    assert [freezing.keep(value)[0] for value in (1, [1], Open([]))] == [Entry, FrozenEntry, GraphEntry]
    kept = copying.keep([1])[1]
    entry = TreeEntry(kept, 1.0, 5.0)
    assert entry.kept is kept
    assert entry.value is not entry.value
    assert type(entry.retained(0.5)) is type(entry.revived(2.0)) is TreeEntry
    assert entry.retained(0.5).kept is kept


def test_what_is_in_two_places_stays_one_in_a_copy():
    """As with `copy.deepcopy`."""
    cache, twice = CacheManager(isolation="copy"), [1]
    cache.set("k", [twice, twice])
    value = cache.get("k")
    assert value[0] is value[1]
    assert value[0] is not twice


@pytest.mark.parametrize("give", ["set", "load"])
def test_what_cannot_be_copied_is_refused(cache, give):
    """With what to do about it; nothing is stored."""
    lock = threading.Lock()
    with pytest.raises(IsolationError, match="isolation 'reference'"):
        cache.set("k", [lock]) if give == "set" else cache.get_or_load("k", lambda: [lock])
    assert cache.get("k") is None


def test_what_is_nested_too_deeply_is_refused(cache):
    """Instead of an error of the interpreter's from deep inside."""
    value = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(IsolationError, match="deeply"):
        cache.set("k", value)
    while value:  # one level at a time: Python would follow it down when it is freed
        value = value.pop()


def test_frozen_values_can_be_stored_again(cache):
    """What was read here may be part of what is written there."""
    cache.set("a", new())
    cache.set("b", {"inner": cache.get("a")})
    assert cache.get("b") == {"inner": new()}
    assert copy.deepcopy(cache.get("b")) == {"inner": new()}


def test_an_unknown_isolation_is_refused():
    """With those that there are."""
    with pytest.raises(ConfigurationError, match="reference, frozen, copy"):
        CacheManager(isolation="deep")


def test_the_settings_name_every_isolation(tmp_path):
    """And a cache is made with what they say."""
    path = tmp_path / "cache.yaml"
    path.write_text("isolation: frozen\nl1: {size: 1MB}\n", encoding="utf-8")
    with CacheManager.from_config(path) as cache:
        cache.set("k", [1])
        with pytest.raises(SharedValueError):
            cache.get("k").append(2)
