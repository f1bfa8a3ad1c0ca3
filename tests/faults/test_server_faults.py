"""A server is killed, hangs, stalls or loads, under load: nothing old, nobody waits long."""

import collections
import contextlib
import pathlib
import threading
import time

import pytest
import redis

from greencache import MISSING, CacheManager
from greencache.config import CacheConfig
from greencache.events import EventKind
from greencache.testing import FakeClock, wait_until
from tests.faults.server_rig import Fault, Rig, parameters, suffer
from tests.faults.stock_readers import stock_client

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

FILLERS = 6_000
"""Keys that make loading take more than a second."""


def kill(rig):
    """End the server at once."""
    rig.server.kill()


def start(rig):
    """Start it again, with nothing in it."""
    rig.server.start()


def pause(rig):
    """Let it hang."""
    rig.server.pause()


def resume(rig):
    """Let it go on."""
    rig.server.resume()


def fill(rig):
    """Give it much to load."""
    with rig.admin() as admin, admin.pipeline(transaction=False) as pipeline:
        for number in range(FILLERS):
            pipeline.set(f"filler:{number}", "")
        pipeline.execute()


def restart(rig):
    """Kill it and start it again; it begins to load."""
    rig.server.kill()
    rig.server.start()


def await_loaded(rig):
    """Wait until it has loaded all."""

    def is_loaded():
        return rig.ask("INFO", "persistence")["loading"] == 0

    wait_until(is_loaded, deadline=60, interval=0.05, reason="the server has loaded")


def pause_all(rig):
    """Let it keep all clients waiting."""
    rig.ask("CLIENT", "PAUSE", round(1_000 * rig.seconds), "ALL")


def pause_writes(rig):
    """Let it keep those waiting who write."""
    rig.ask("CLIENT", "PAUSE", round(1_000 * rig.seconds), "WRITE")


def kill_clients(rig):
    """End all connections every 10 ms."""
    admin = rig.stack.enter_context(rig.admin())
    rig.again_and_again(lambda: admin.client_kill_filter(_type="normal", skipme=True), 0.01)


def fill_up(rig):
    """Let nobody in any more: squatters take all places."""
    admin = rig.stack.enter_context(rig.admin())
    admin.ping()
    squatters = [rig.stack.enter_context(rig.admin()) for _ in range(10)]
    kept = [client.client_id() for client in [admin, *squatters]]
    admin.config_set("maxclients", len(kept))
    for each in admin.client_list():
        if int(each["id"]) not in kept:
            with contextlib.suppress(redis.ResponseError):  # it has gone by itself
                admin.client_kill_filter(_id=each["id"])
    rig.admin_within = admin


def let_in(rig):
    """Let all in again."""
    rig.admin_within.config_set("maxclients", 1_000)


def fill_disk(rig):
    """Let no write of its log succeed: there is no space left on its device."""
    folder = pathlib.Path(rig.ask("CONFIG", "GET", "dir")["dir"], "appendonlydir")
    folder.mkdir()
    (folder / "temp-appendonly.aof.incr").symlink_to("/dev/full")
    rig.ask("CONFIG", "SET", "appendonly", "yes")


def empty_disk(rig):
    """Let it write no log."""
    rig.ask("CONFIG", "SET", "appendonly", "no")


LOADS_SLOWLY = {"persist": True, "arguments": ("--key-load-delay", "200")}

FAULTS = [
    Fault("14", "killed", kill, start, longer=5.0),
    Fault("15", "hung", pause, resume, longer=12.0),
    Fault("22", "loading", restart, await_loaded, options=LOADS_SLOWLY, prepare=fill, in_short_runs=True),
    Fault("24", "disk full", fill_disk, empty_disk, in_short_runs=True),
    Fault("26", "all clients paused", pause_all, lambda _: None, longer=12.0),
    Fault("26", "writers paused", pause_writes, lambda _: None),
    Fault("28", "connections killed", kill_clients, Rig.heal, in_short_runs=True),
    Fault("29", "no more clients", fill_up, let_in, in_short_runs=True),
]


@pytest.mark.parametrize("fault", parameters(FAULTS))
def test_reads_and_invalidations_go_on(new_rig, figure, is_long, fault):
    """Through the fault and its end."""
    rig = new_rig(fault)
    suffer(rig, figure, is_long)


def restart_empty(rig):
    """Kill it and start it again, with nothing in it."""
    rig.server.kill()
    rig.server.start()


def loads_of_herd(get, keys, threads=16):
    """Let many threads ask for the same keys in the same order, and return how often who loaded what.

    Args:
        get: Gets or loads a key, for each process.
        keys: What is asked for.
        threads: How many ask, in turns of the processes.
    """
    loads, lock = collections.Counter(), threading.Lock()

    def load(process, key):
        with lock:
            loads[process, key] += 1
        time.sleep(0.005)  # the source's own time
        return key

    def read(process):
        for key in keys:
            get[process](key, lambda key=key: load(process, key))

    workers = [threading.Thread(target=read, args=(number % len(get),)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return loads


def test_an_empty_server_brings_no_herd_on_the_source(new_rig, figure):
    """No process loads a key twice; and once both have noticed what was lost, nor do both."""
    rig = new_rig(Fault("21", "restarted empty", restart_empty, lambda _: None))
    caches, client = [rig.cache(), rig.cache()], stock_client(rig.urls[1])
    keys = [f"key{number}" for number in range(50)]
    for key in keys:
        caches[0].set(key, key)
    restarted = time.monotonic()
    restart_empty(rig)
    wait_until(
        lambda: all(is_used(cache) for cache in caches), deadline=30, reason="the server is used again"
    )
    get = [cache.get_or_load for cache in caches]
    figure("21", "most loads of a key by a process", max(loads_of_herd(get, keys).values()), "loads", "<= 1")
    wait_until(lambda: has_rejoined(rig, restarted), deadline=30, reason="both have noticed what was lost")
    later = [f"later:{key}" for key in keys]
    fleet = collections.Counter(key for _, key in loads_of_herd(get, later).elements())
    figure("21", "most loads of a key by all, once the loss is noticed", max(fleet.values()), "loads", "<= 1")

    def get_or_load(key, load):
        if client.get(f"stock:{key}") is None:
            client.set(f"stock:{key}", load())

    theirs = loads_of_herd([get_or_load], keys)
    figure("21", "stock redis-py: most loads of a key", max(theirs.values()), "loads", all=theirs.total())


def has_rejoined(rig, moment):
    """Whether both caches hear announcements again."""
    gaps = rig.notes.count(EventKind.BUS_GAP, moment)
    return gaps >= 2 and rig.notes.count(EventKind.BUS_BACK, moment) >= 2


def is_used(cache):
    """Whether what is stored is found."""
    cache.get_or_load("probe", lambda: 1)
    before = cache.get_stats()["L3"].hits
    cache.get_or_load("probe", lambda: 1)
    return cache.get_stats()["L3"].hits > before


def test_a_server_that_lost_its_stamps_is_asked_for_new_ones(redis_servers):
    """As soon as it is noticed, by a connection: what is stored before anything is heard is valid for all."""
    server = redis_servers()
    config = CacheConfig.model_validate(
        {"namespace": "rig", "l1": {"enabled": False}, "l3": {"url": server.url}, "bus": {"enabled": False}}
    )
    with contextlib.ExitStack() as stack:
        # Their clock stands still, so that what was known is believed until there is another reason.
        first, second = (
            stack.enter_context(CacheManager.from_config(config, clock=FakeClock())) for _ in range(2)
        )
        first.get_or_load("a", lambda: "lost")
        server.kill()
        server.start()
        assert second.get_or_load("b", lambda: "made") == "made"
        assert first.get("a", MISSING) is MISSING
        first.set("c", "kept")
        assert second.get("c", MISSING) == "kept"
        assert first.get("b", MISSING) == "made"
