"""Sixteen threads at one small L1, under every policy."""

import random
import threading
import time

import pytest

from greencache import CacheManager
from greencache.policies import POLICIES
from greencache.tiers import memory_entries
from greencache.tiers.memory import MemoryTier
from tests.faults.figures import IS_LONG
from tests.policies.conftest import audit_order

THREADS = 16


def seconds_for(policy, max_entries):
    """Return for how long a cache is hammered: in a long run a minute for the one that users get."""
    if not IS_LONG:
        return 0.0
    return 60.0 if policy == "default" and max_entries is None else 4.0


STEPS = 100
"""Of each thread at least."""


def hammer(cache, deadline):
    """Use all verbs from all threads, at least until the deadline; return what went wrong."""
    start = threading.Barrier(THREADS)
    wrong = []

    def work(seed):
        chance = random.Random(seed)
        start.wait(60)
        try:
            steps = 0
            while steps < STEPS or time.monotonic() < deadline:
                use(cache, chance)
                steps += 1
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    return wrong


def use(cache, chance):
    """Use one verb; whatever is read is what belongs under its key."""
    number = int(chance.expovariate(0.03)) % 300
    key, tag = f"k{number}", f"t{number % 5}"
    action = chance.random()
    if action < 0.6:
        found = cache.get(key)
        assert found is None or found[0] == number
    elif action < 0.8:
        value = (number, "x" * chance.randrange(800))
        assert cache.get_or_load(key, lambda: value, tags=[tag], ttl=chance.random())[0] == number
    elif action < 0.9:
        cache.mset({f"k{other}": (other, "y") for other in range(number, number + 5)}, tags=[tag])
    elif action < 0.94:
        cache.delete(key)
    elif action < 0.95:
        cache.invalidate(tags=[tag])
    elif action < 0.98:
        cache.l1.pin(key) if chance.random() < 0.5 else cache.l1.unpin(key)
    else:
        cache.l1.top(3, by="bytes")


def audit(tier):
    """Check that all books of L1 agree."""
    entries = tier._entries
    index, pins = entries.index, entries.pins
    pinned = {key for key in index if key in pins}
    assert set(entries.order) == set(index) - pinned
    assert set(pins._held) == pinned <= pins.wanted
    assert pins.weight == sum(pins._held.values()) <= tier._size // 2
    assert entries.weight == sum(map(entries.weight_of, index)) <= tier._size
    tagged = {(tag, key) for key, entry in index.items() for tag in entry.tags}
    assert tagged == {(tag, key) for tag in {tag for tag, _ in tagged} for key in entries.tagged.get(tag, ())}
    assert all(number == entry.value[0] for number, entry in ((int(k[1:]), e) for k, e in index.items()))
    audit_order(entries.order)


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("max_entries", [None, 30], ids=["by bytes", "by count"])
@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_l1_stays_sound_under_sixteen_threads(policy, max_entries, monkeypatch):
    """Reads take no lock, writes one; afterwards index, order, pins and tags tell the same."""
    # A small L1 takes S3-FIFO for its default, and that has its own turn.
    monkeypatch.setattr(memory_entries, "_LEAST_FOR_DUEL", 0)
    tier = MemoryTier(30_000, max_entries=max_entries, policy=policy)
    with CacheManager([tier]) as cache:
        wrong = hammer(cache, time.monotonic() + seconds_for(policy, max_entries))
        assert wrong == []
        audit(tier)
        assert tier._leases == {}
        assert cache.get_stats()["L1"].evictions > 0
        cache.clear()
        assert tier.usage().size == 0
        audit(tier)
