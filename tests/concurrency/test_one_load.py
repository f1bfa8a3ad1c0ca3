"""One load per key: among threads, among processes, and without deadlock."""

import multiprocessing
import threading

import pytest

from greencache import CacheManager, CacheTier

SPAWN = multiprocessing.get_context("spawn")


def run_threads(number, work):
    """Run work(index) on threads that start together, and return what they returned."""
    barrier = threading.Barrier(number)
    results = [None] * number

    def run(index):
        barrier.wait(10)
        results[index] = work(index)

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "a thread still waits after 30 s"
    return results


def test_threads_share_one_load():
    """Sixteen threads on one cold key call the loader once."""
    with CacheManager() as cache:
        calls = []
        together = threading.Event()

        def load():
            calls.append(1)
            together.wait(0.2)
            return "value"

        assert run_threads(16, lambda _: cache.get_or_load("k", load)) == ["value"] * 16
        assert len(calls) == 1


def test_all_who_wait_get_the_loaders_error():
    """And the next caller loads again."""
    with CacheManager() as cache:
        gate = threading.Event()

        def load():
            gate.wait(0.2)
            raise LookupError("no such factor")

        def ask(_):
            with pytest.raises(LookupError, match="no such factor"):
                cache.get_or_load("k", load)

        run_threads(8, ask)
        assert cache.get_or_load("k", lambda: 1) == 1


def test_a_loader_may_ask_for_its_own_key():
    """Whoever waits for oneself would wait for ever: it loads for itself."""
    with CacheManager() as cache:
        assert cache.get_or_load("k", lambda: cache.get_or_load("k", lambda: "inner")) == "inner"


def test_batches_that_wait_for_each_other_do_not_deadlock():
    """Each lands its own keys before it waits for the other's."""
    with CacheManager() as cache:
        keys = [f"k{n}" for n in range(50)]

        def ask(index):
            mine = keys if index % 2 else list(reversed(keys))
            return cache.get_or_load_many(mine, lambda wanted: {key: key for key in wanted})

        expected = {key: key for key in keys}
        assert run_threads(8, ask) == [expected] * 8


def test_a_waiting_caller_loads_itself_when_a_batch_did_not_find_its_key():
    """Another batch's loader may know less."""
    with CacheManager() as cache:
        has_begun, may_end = threading.Event(), threading.Event()

        def load_nothing(_):
            has_begun.set()
            assert may_end.wait(10)
            return {}

        batch = threading.Thread(target=cache.get_or_load_many, args=(["k"], load_nothing))
        batch.start()
        assert has_begun.wait(10)
        single = []
        waiter = threading.Thread(target=lambda: single.append(cache.get_or_load("k", lambda: "mine")))
        waiter.start()
        may_end.set()
        batch.join(10)
        waiter.join(10)
        assert single == ["mine"]


def test_a_hung_leader_delays_others_no_longer_than_patience():
    """After that a caller loads for itself."""
    with CacheManager(patience=0.2) as cache:
        has_begun, may_end = threading.Event(), threading.Event()

        def hang():
            has_begun.set()
            may_end.wait(30)
            return "late"

        leader = threading.Thread(target=cache.get_or_load, args=("k", hang), daemon=True)
        leader.start()
        assert has_begun.wait(10)
        assert cache.get_or_load("k", lambda: "mine") == "mine"
        may_end.set()
        leader.join(10)


def test_those_who_wait_for_a_hung_leader_share_the_next_load():
    """When their patience ends together, one of them loads and the others wait for it."""
    with CacheManager(patience=0.3) as cache:
        has_begun, may_end = threading.Event(), threading.Event()

        def hang():
            has_begun.set()
            may_end.wait(30)

        leader = threading.Thread(target=cache.get_or_load, args=("k", hang), daemon=True)
        leader.start()
        assert has_begun.wait(10)
        calls = []

        def load():
            calls.append(1)
            threading.Event().wait(0.1)
            return "value"

        assert run_threads(12, lambda _: cache.get_or_load("k", load)) == ["value"] * 12
        assert len(calls) <= 2
        may_end.set()
        leader.join(10)


def test_processes_share_a_load_that_only_their_host_keeps(fleet):
    """With a tier the deepest that keeps the value elects who loads."""
    caches = [fleet.cache() for _ in range(4)]
    calls = []

    def load():
        calls.append(1)
        threading.Event().wait(0.3)
        return "value"

    assert run_threads(4, lambda n: caches[n].get_or_load("k", load, tier=CacheTier.L2)) == ["value"] * 4
    assert len(calls) == 1


def _load_in_process(urls, ready, go, log):
    with CacheManager.from_urls(**urls) as cache:
        cache.initialize(strict=True)

        def load():
            log.put("loaded")
            threading.Event().wait(0.3)
            return "value"

        ready.release()
        go.wait(30)
        values = run_threads(4, lambda _: cache.get_or_load("cold", load))
        log.put(tuple(values))


def test_processes_share_one_load(fleet):
    """Four processes of four threads on one cold key call the loader once in all."""
    urls = {"l2": fleet.l2, "l3": fleet.l3, "namespace": "fleet"}
    ready, go, log = SPAWN.Semaphore(0), SPAWN.Event(), SPAWN.Queue()
    workers = [SPAWN.Process(target=_load_in_process, args=(urls, ready, go, log)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for _ in workers:
        assert ready.acquire(timeout=60), "a worker was not ready within 60 s"
    go.set()
    said = [log.get(timeout=60) for _ in range(5)]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert said.count("loaded") == 1
    assert said.count(("value",) * 4) == 4


def test_a_dead_leader_in_another_process_blocks_nobody_beyond_its_lease(fleet):
    """Its lease ends by itself, and whoever waits loads."""
    waiting = fleet.cache()
    l3 = waiting._engine.stack.shared[-1].tier
    l3._lease_ms = 300
    assert l3.reserve_many(["k"])  # as a process that dies right after
    assert waiting.get_or_load("k", lambda: "mine") == "mine"
    assert waiting.get_stats().loads.waited == 1
