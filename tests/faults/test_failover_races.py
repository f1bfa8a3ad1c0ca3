"""Failovers by Sentinel at bad moments: in a batch, again and again, before replicas have all; and liars."""

import contextlib
import os
import pathlib
import threading
import time

import pytest
import redis

from greencache import MISSING, CacheManager
from greencache.config import CacheConfig
from greencache.errors import GreencacheError, InvalidationPending
from greencache.testing import wait_until
from tests.faults.failover_load import FailoverLoad
from tests.faults.figures import only_in_a_long_run
from tests.faults.lying_sentinel import LyingSentinels
from tests.faults.stock_readers import stock_client
from tests.faults.stopwatch import Metronome

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

DEADLINE = 1.0


@pytest.fixture
def servers(redis_sentinels):
    """A primary, two replicas and three sentinels of this test's own."""
    return redis_sentinels()


@pytest.fixture
def new_cache():
    """Make caches over one shared Redis, without L1, as of processes of their own."""
    with contextlib.ExitStack() as stack:

        def make(url):
            l3 = {"url": url, "timeout": 0.3, "deadline": DEADLINE, "lease_ttl": 1.0}
            config = CacheConfig.model_validate({"namespace": "races", "l1": {"enabled": False}, "l3": l3})
            return stack.enter_context(CacheManager.from_config(config)).initialize(strict=True)

        yield make


def note(figure, scenario, load, machine, since):
    """Note what must not happen in any scenario."""
    made = {"reads": len(load.calls), "invalidations": load.invalidated, "queued": load.queued}
    figure(scenario, "wrong values", len(load.wrong), "reads", "== 0", **made)
    figure(scenario, "errors", len(load.errors), "reads", "== 0", seen=load.errors[:3])
    figure(scenario, "stale reads", len(load.stale), "reads", "== 0", seen=load.stale[:5])
    figure(scenario, "longest read", load.longest_call_on(machine, since), "s", f"<= {3 * DEADLINE + 1}")


def fail_over(servers):
    """Let another server be the primary, as soon as the last failover has come to its end."""
    former, sentinel = servers.primary, servers.sentinels[0]

    def begins():
        try:
            return sentinel.execute("SENTINEL", "FAILOVER", servers.service)
        except redis.ResponseError:
            return False

    wait_until(begins, deadline=30, interval=0.1, reason="a sentinel begins a failover")
    servers.await_failover(former)


def sockets():
    """Return how many sockets this process has open."""
    links = (os.path.realpath(each) for each in pathlib.Path("/proc/self/fd").iterdir())
    return sum("socket:" in link for link in links)


@only_in_a_long_run
@pytest.mark.parametrize("liars", [1, 3])
def test_sentinels_that_lie(servers, figure, liars):
    """They name a replica: whoever connects there asks it by ROLE, and does not believe them."""
    replica = next(each for each in servers.replicas if len(str(each.port)) == len(str(servers.primary.port)))
    with contextlib.ExitStack() as stack:
        chosen = servers.sentinels[:liars]
        url = LyingSentinels(servers.url, chosen, stack, true=servers.primary.port, told=replica.port).url
        began = time.monotonic()
        with CacheManager.from_urls(l1=None, l3=url, namespace="lies") as cache:
            results = [
                cache.get_or_load(f"key{number}", lambda number=number: number) for number in range(50)
            ]
            took = (time.monotonic() - began) / len(results)
            hits = cache.get_stats()["L3"].hits + cache.get_stats()["L3"].fills
        wrong = sum(value != number for number, value in enumerate(results))
        figure("42", f"{liars} of 3 lie: wrong values", wrong, "reads", "== 0", found_or_stored=hits)
        figure("42", f"{liars} of 3 lie: mean read", took, "s", "<= 1")
        figure("42", f"{liars} of 3 lie: stored on a replica", int(hits > 0 and liars == 3), "", "== 0")
        client, failed = stock_client(url), 0
        for number in range(20):
            try:
                client.set(f"stock{number}", number)
            except redis.RedisError:
                failed += 1
        figure("42", f"stock redis-py: {liars} of 3 lie: writes that failed, of 20", failed, "writes")


def test_a_failover_in_the_middle_of_batches(servers, new_cache, figure, is_long):
    """Each call says what came of it, in greencache's words, and each thread reads what it has written."""
    cache = new_cache(servers.url)
    keys = [f"batch{number}" for number in range(50)]
    stop, untyped, old, told, calls = threading.Event(), [], [], [], []

    def work(name):
        mine, turn = [f"{name}:{key}" for key in keys], 0
        while not stop.is_set():
            turn += 1
            try:
                done = write(cache, mine, turn)
            except GreencacheError as error:
                told.append(error)
                continue
            except Exception as error:
                untyped.append(repr(error))
                continue
            calls.append(done)
            found = cache.mget(mine)
            old.extend(each for each in found.values() if each < turn)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(calls) > 20, deadline=30, reason="batches are made")
    for _ in range(3 if is_long else 1):
        fail_over(servers)
        before = len(calls)
        wait_until(
            lambda before=before: len(calls) > before + 20, deadline=30, reason="batches are made again"
        )
    stop.set()
    for thread in threads:
        thread.join(30)
    figure(
        "43", "batches that ended in an error without a type", len(untyped), "calls", "== 0", seen=untyped[:3]
    )
    figure("43", "batches that said what was not done", len(told), "calls", of=len(calls) + len(told))
    figure("43", "values older than what the thread has written", len(old), "values", "== 0")
    figure("43", "stock redis-py: pipelines of unknown outcome", *stock_batches(servers, is_long))


def write(cache, keys, turn):
    """Make one batch, of a kind that depends on the turn; return the kind."""
    kind = ("put", "load", "drop")[turn % 3]
    if kind == "put":
        cache.mset(dict.fromkeys(keys, turn))
    elif kind == "load":
        cache.invalidate(*keys)
        cache.get_or_load_many(keys, lambda missing: dict.fromkeys(missing, turn))
    else:
        cache.mdelete(keys)
    return kind


def stock_batches(servers, is_long):
    """Return how many pipelines of stock redis-py failed as a whole through a failover, and their unit."""
    client, failed, is_over = stock_client(servers.url), [], threading.Event()

    def work():
        while not is_over.is_set():
            pipeline = client.pipeline(transaction=False)
            for number in range(50):
                pipeline.set(f"stock:{number}", number)
            try:
                pipeline.execute()
            except (redis.RedisError, OSError) as error:
                failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    if is_long:
        fail_over(servers)
    is_over.set()
    thread.join(30)
    return len(failed), "pipelines"


@only_in_a_long_run
def test_failover_again_and_again(servers, new_cache, figure):
    """Nothing wrong, nothing old, and nothing piles up."""
    load = FailoverLoad(new_cache(servers.url), new_cache(servers.url))
    with Metronome() as machine, load:
        wait_until(lambda: len(load.hits) > 50, deadline=30, reason="keys are found")
        began, before = time.monotonic(), (sockets(), threading.active_count())
        for _ in range(6):
            fail_over(servers)
            load.run(3)
        after = (sockets(), threading.active_count())
    note(figure, "44", load, machine, began)
    figure("44", "sockets more than before", after[0] - before[0], "sockets", "<= 8", before=before[0])
    figure("44", "threads more than before", after[1] - before[1], "threads", "<= 2", before=before[1])


@only_in_a_long_run
def test_replicas_that_lack_the_last_writes(servers, new_cache, figure):
    """What was written last is lost, as Redis says; what was dropped last stays dropped."""
    own, other = new_cache(servers.url), new_cache(servers.url)
    keys = [f"key{number}" for number in range(200)]
    own.mset(dict.fromkeys(keys, "old"))
    primary = servers.primary
    wait_until(lambda: all(each.execute("DBSIZE") >= 200 for each in servers.replicas), reason="all have all")
    stock = stock_client(servers.url)
    for replica in servers.replicas:
        replica.pause()
    primary.execute("CLIENT", "KILL", "TYPE", "replica")  # else they would find it all in their sockets
    acknowledged = 0
    for key in keys:
        with contextlib.suppress(InvalidationPending):
            own.invalidate(key)
            acknowledged += 1
    own.mset({f"new{number}": 1 for number in range(200)})
    for number in range(200):
        stock.set(f"stock{number}", number)
    primary.kill()
    for replica in servers.replicas:
        replica.resume()
    promoted = servers.await_failover(primary)
    bound = time.monotonic() + 2.5
    seen = []
    while time.monotonic() < bound + 2:
        seen.append((time.monotonic(), own.mget(keys), other.mget(keys)))
    stale_own = sum(len(found) for _, found, _ in seen)
    stale_other = sum(len(found) for at, _, found in seen if at > bound)
    figure("45", "stale reads of who has invalidated", stale_own, "reads", "== 0", acknowledged=acknowledged)
    figure("45", "stale reads of others past max_staleness", stale_other, "reads", "== 0", looks=len(seen))
    figure(
        "45",
        "values lost, as documented",
        sum(own.get(f"new{n}", MISSING) is MISSING for n in range(200)),
        "values",
    )
    with redis.Redis.from_url(promoted.url) as admin:
        lost = sum(value is None for value in admin.mget([f"stock{number}" for number in range(200)]))
    figure("45", "stock redis-py: acknowledged writes lost", lost, "writes", of=200)
