"""A server that restarts from an old snapshot of its disk: what was dropped since does not come back."""

import contextlib
import itertools

import pytest
import redis

from greencache import MISSING, CacheManager
from greencache.config import CacheConfig
from greencache.testing import FakeClock, wait_until

pytestmark = pytest.mark.faults

WINDOW = 60.0
"""Seconds for which drops are remembered one by one."""


@pytest.fixture
def servers(redis_servers, tmp_path):
    """L2 and L3, each with a disk of its own."""
    made = {}
    for name in ("l2", "l3"):
        (tmp_path / name).mkdir()
        made[name] = redis_servers(arguments=("--dir", str(tmp_path / name)))
    return made


@pytest.fixture
def clock():
    """The clock of all caches."""
    return FakeClock()


@pytest.fixture
def caches(servers, clock):
    """Two processes of one host."""
    tiers = {
        name: {"url": each.url, "timeout": 1.0, "deadline": 1.0, "ttl": "1d"}
        for name, each in servers.items()
    }
    config = CacheConfig.model_validate({"namespace": "old", "failover_window": WINDOW, **tiers})
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(CacheManager.from_config(config, clock=clock)).initialize(strict=True)
            for _ in range(2)
        ]


def await_all_heard(servers, caches):
    """Wait until the caches have applied all that was announced, before their clock jumps."""
    with redis.Redis.from_url(servers["l3"].url) as admin:
        ((last, _),) = admin.xrevrange("gc:b:{old}", count=1)
    number = int(last.partition(b"-")[0])
    buses = [cache._engine.bus for cache in caches]
    wait_until(lambda: all(bus.applied() >= number for bus in buses), reason="all was heard")


def restart(server, *, saved):
    """Kill a server and let it come back with what it had saved."""
    server.kill()
    server.start()
    with redis.Redis.from_url(server.url) as admin:
        assert bool(admin.dbsize()) is saved


def reads_until_used(caches, clock, tier):
    """Return what each cache reads of a key, again and again, until the tiers are used again.

    L2 is read only while announcements are heard, for which its clock must not run ahead of the heartbeats.
    """
    names = map("k{}".format, itertools.count())
    seen = []
    hits = caches[1].get_stats()["L2"].hits

    def is_used():
        clock.advance(0.01)
        name = next(names)
        for cache in caches:
            seen.append(cache.get("a", MISSING))
            cache.get_or_load(name, lambda: 1)
        with redis.Redis.from_url(tier.url) as admin:
            is_filled = bool(admin.exists(f"gc:v:{{old:{name}}}"))
        return is_filled and caches[1].get_stats()["L2"].hits > hits

    wait_until(is_used, deadline=40, reason="the restarted server is used again")
    return seen + [cache.get("a", MISSING) for cache in caches]


@pytest.mark.parametrize("name", ["l2", "l3"])
def test_what_was_dropped_long_ago_does_not_come_back_with_an_old_snapshot(
    servers, caches, clock, name, figure
):
    """Nobody remembers it one by one any more, so everything is forgotten."""
    caches[0].set("a", "old")
    assert caches[1].get("a") == "old"
    with redis.Redis.from_url(servers[name].url) as admin:
        admin.save()
    caches[0].invalidate("a")
    await_all_heard(servers, caches)
    clock.advance(3 * WINDOW)
    restart(servers[name], saved=True)
    seen = reads_until_used(caches, clock, servers[name])
    figure(21, f"{name} from an old snapshot: stale reads", seen.count("old"), bound="== 0", of=len(seen))
    assert set(seen) == {MISSING}


@pytest.mark.parametrize("name", ["l2", "l3"])
def test_what_a_fresh_snapshot_has_is_kept(servers, caches, clock, name):
    """Where nothing was dropped since, a restart costs nothing that was cached."""
    caches[0].set("a", "kept")
    assert caches[1].get("a") == "kept"
    await_all_heard(servers, caches)
    clock.advance(3 * WINDOW)
    with redis.Redis.from_url(servers[name].url) as admin:
        admin.save()
    restart(servers[name], saved=True)
    seen = reads_until_used(caches, clock, servers[name])
    assert seen[-1] == "kept"
    assert set(seen) <= {MISSING, "kept"}
    with redis.Redis.from_url(servers[name].url) as admin:
        assert admin.exists("gc:v:{old:a}")
