"""What tests of policies share: an audit of orders, references, and traces of their own."""

import random
from collections import Counter

import pytest

from greencache.policies import AdaptiveOrder, FIFOOrder, GreedyDualOrder, S3FIFOOrder, SieveOrder
from greencache.policies.sample import Sample

DEAD = -1


def queues_of(order):
    """Return the queues that an order keeps its slots in."""
    if isinstance(order, GreedyDualOrder):
        assert all(
            order._heap[(place - 1) // 2] <= order._heap[place] for place in range(1, len(order._heap))
        )
        assert order._hits.keys() == order._slots.keys()
        return ([slot for _, _, slot in order._heap],)
    if isinstance(order, FIFOOrder):
        return (order._queue,)
    return (order._passed, order._ahead) if isinstance(order, SieveOrder) else (order._small, order._main)


def audit_order(order):
    """Check that all books of an order agree."""
    queues = queues_of(order)
    slots = [slot for queue in queues for slot in queue]
    living = [slot for slot in slots if slot.home != DEAD]
    assert Counter(slot.key for slot in living) == Counter(dict.fromkeys(order._slots, 1))
    assert all(order._slots[slot.key] is slot for slot in living)
    assert len(slots) - len(living) == order._dead <= len(living) + 65
    for home, size in enumerate(order._sizes):
        assert size == sum(slot.weight for slot in living if slot.home == home)
    assert order.currsize == sum(slot.weight for slot in living)
    if isinstance(order, S3FIFOOrder):
        assert all(slot.home in (DEAD, number) for number in (0, 1) for slot in queues[number])
        assert order._ghosts_size == sum(order._ghosts.values())
        assert not order._ghosts.keys() & order._slots.keys()
    if isinstance(order, AdaptiveOrder):
        audit_duel(order)


def audit_duel(order):
    """Check that a duel's sample and contenders agree with the order that they belong to."""
    duel = order._duel
    held = set()
    for number, contender in enumerate(duel._contenders):
        audit_order(contender)
        held |= set(contender)
        assert contender.currsize <= duel._maxsize / duel._every
        assert all(contender._slots[key].item is duel._samples[key].tags[number] for key in contender)
    assert all(duel.is_sampled(key) for key in held)
    resident = {key for key, sample in duel._samples.items() if sample.entry is not None}
    assert set(duel._samples) == held | resident
    assert resident == {key for key in order if key in duel._samples}
    for key in resident:
        assert order._slots[key].item is duel._samples[key]
    assert all(isinstance(order._slots[key].item, Sample) for key in resident)


@pytest.fixture(scope="session")
def audit():
    """A function that checks an order, or a cache with one, and raises AssertionError."""

    def check(target):
        order = getattr(target, "_order", target)
        if target is not order:
            assert set(target) == set(order) == set(target._marks)
            assert target.currsize == order.currsize <= target.maxsize
        audit_order(order)

    return check


def zipf_and_scans(seed, *, length=20_000, keys=1500, scans=12):
    """Return requests as programs make them: some keys often, and now and then many keys once."""
    chance = random.Random(seed)
    weights = [1 / (rank + 1) ** 0.9 for rank in range(keys)]
    requests = chance.choices(range(keys), weights, k=length)
    for number in range(scans):
        start = chance.randrange(length)
        requests[start:start] = range(10_000 + 400 * number, 10_000 + 400 * number + 400)
    return requests


@pytest.fixture(scope="session")
def own_trace():
    """A trace that the project contains: a seed."""
    return zipf_and_scans(2026)


class ReferenceSieve:
    """SIEVE as its paper has it: a list from the oldest key to the newest, and the hand's place in it."""

    def __init__(self, maxsize):
        self.maxsize = maxsize
        self.queue = []
        self.weights = {}
        self.visited = set()
        self.hand = 0

    def __contains__(self, key):
        return key in self.weights

    def get(self, key):
        """Hit a key."""
        self.visited.add(key)

    def put(self, key, weight=1):
        """Store a key, for which there is room."""
        if key in self:
            self.visited.add(key)
        else:
            self.weights[key] = weight
            if self.hand == len(self.queue):
                self.hand = 0
            self.queue.append(key)

    def evict(self):
        """Choose a victim."""
        while True:
            if self.hand == len(self.queue):
                self.hand = 0
            key = self.queue[self.hand]
            if key not in self.visited:
                self.remove(key)
                return key
            self.visited.discard(key)
            self.hand += 1

    def remove(self, key):
        """Remove a key for another reason."""
        place = self.queue.index(key)
        del self.queue[place]
        if place < self.hand:
            self.hand -= 1
        del self.weights[key]
        self.visited.discard(key)


class ReferenceS3FIFO:
    """S3-FIFO as its authors' simulator has it, with lists from the oldest key to the newest."""

    def __init__(self, maxsize):
        self.maxsize = maxsize
        self.small_size = int(maxsize * 0.1)
        self.main_size = maxsize - self.small_size
        self.ghost_size = int(maxsize * 0.9)
        self.small, self.main, self.ghosts = [], [], []
        self.weights, self.hits = {}, {}
        self.has_evicted = False

    def __contains__(self, key):
        return key in self.small or key in self.main

    def total(self, queue):
        """Weigh a queue."""
        return sum(self.weights[key] for key in queue)

    def get(self, key):
        """Hit a key."""
        self.hits[key] = min(self.hits[key] + 1, 3)

    def put(self, key, weight=1):
        """Store a key, for which there is room."""
        if key in self:
            self.get(key)
            self.weights[key] = weight
            return
        is_ghost = key in self.ghosts
        if is_ghost:
            self.ghosts.remove(key)
        while self.total(self.ghosts) > self.ghost_size:
            self.ghosts.pop(0)
        self.weights[key], self.hits[key] = weight, 0
        is_full = self.total(self.small) >= self.small_size and not self.has_evicted
        (self.main if is_ghost or is_full else self.small).append(key)

    def evict(self):
        """Choose a victim."""
        self.has_evicted = True
        while True:
            is_main = self.total(self.main) > self.main_size or not self.small
            key = self.evict_from_main() if is_main else self.evict_from_small()
            if key is not None:
                return key

    def evict_from_main(self):
        """Look for a victim in the main queue."""
        while self.main:
            key = self.main.pop(0)
            if not self.hits[key]:
                return key
            self.hits[key] -= 1
            self.main.append(key)
        return None

    def evict_from_small(self):
        """Look for a victim in the small queue."""
        # Goes on until a key has gone, even if the main queue has grown too large meanwhile.
        while self.small:
            key = self.small.pop(0)
            if self.hits[key] < 2:
                self.ghosts.append(key)
                return key
            self.hits[key] = 0
            self.main.append(key)
        return None

    def remove(self, key):
        """Remove a key for another reason."""
        (self.small if key in self.small else self.main).remove(key)


@pytest.fixture(scope="session")
def references():
    """Slow, obviously right implementations by the names of their policies."""
    return {"sieve": ReferenceSieve, "s3fifo": ReferenceS3FIFO}
