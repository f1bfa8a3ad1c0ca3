"""What tests of policies share: an audit of orders, references, and traces of their own."""

import random
from collections import Counter

import pytest

from greencache.policies import (
    AdaptiveOrder,
    FIFOOrder,
    GreedyDualOrder,
    RandomOrder,
    S3FIFOOrder,
    SieveOrder,
    greedy_dual,
)
from greencache.policies.ghosts import GhostQueue


class Held:
    """An order with what a cache would hold, which the cache puts in and takes out.

    Args:
        make: Makes the order, given what is held.
    """

    def __init__(self, make):
        self.items = {}
        self.order = make(self.items)

    def add(self, key, item, weight):
        """Store a key."""
        self.order.add(key, item, weight)
        self.items[key] = item

    def evict(self):
        """Make room by one key, and return it."""
        key = self.order.evict()
        del self.items[key]
        return key

    def discard(self, key):
        """Remove a key that may be there."""
        assert self.order.discard(key) == (key in self.items)
        self.items.pop(key, None)

    def __getattr__(self, name):
        return getattr(self.order, name)

    def __contains__(self, key):
        return key in self.order

    def __iter__(self):
        return iter(self.order)

    def __len__(self):
        return len(self.order)


def audit_queue(queue, keys):
    """Check that the places of a queue are those of its keys, but for dead ones ahead of them."""
    places = Counter(queue.places)
    places.subtract(queue.dead)
    assert +places == Counter(dict.fromkeys(keys, 1))
    assert all(count > 0 for count in queue.dead.values())
    assert len(queue.places) <= 2 * len(keys) + 64


def audit_heap(heap, keys):
    """Check that the heap is one, and that its living places are those of its keys."""
    places = heap.heap
    assert all(places[(place - 1) // 2] <= places[place] for place in range(1, len(places)))
    living = [place for place in places if place[2] is not greedy_dual._Nobody]
    assert len(living) == len(heap.places)
    assert all(heap.places[place[2]] is place for place in living)
    assert heap.places.keys() == keys
    assert len(places) <= 2 * len(living) + 64


def audit_urn(urn, keys):
    """Check that each key is drawn from one place."""
    assert urn.places == {key: place for place, key in enumerate(urn.drawn)}
    assert urn.places.keys() == keys


def audit_parts(order):
    """Check each part by itself, and that every key is in one."""
    kinds = {GreedyDualOrder: audit_heap, RandomOrder: audit_urn}
    audit_part = kinds.get(type(order), audit_queue)
    placed = {key: item for key, item in order._items.items() if item.home is not None}
    assert len({id(item) for item in placed.values()}) == len(placed)
    assert all(item.home in order._parts for item in placed.values())
    for part in order._parts:
        held = {key: item for key, item in placed.items() if item.home is part}
        audit_part(part, held.keys())
        assert part.count == len(held)
        assert part.size == sum(item.weight for item in held.values())


def audit_ghosts(ghosts, keys):
    """Check that what is remembered agrees with itself, and is not what is there."""
    if isinstance(ghosts, GhostQueue):
        assert ghosts.currsize == sum(ghosts.weights.values())
        assert not ghosts.weights.keys() & set(keys)
    else:
        assert len(ghosts._slots) == ghosts._mask + 1
        assert 0 < ghosts._until_fit <= ghosts._newcomers


def audit_order(order):
    """Check that all books of an order agree."""
    audit_parts(order)
    keys = list(order)
    assert len(keys) == len(set(keys)) == len(order) == sum(part.count for part in order._parts)
    assert order.currsize == sum(part.size for part in order._parts) == sum(map(order.weight_of, keys))
    if isinstance(order, FIFOOrder):
        assert order._parts == (order._queue,)
    if isinstance(order, GreedyDualOrder):
        assert order._parts == (order._heap,)
    if isinstance(order, RandomOrder):
        assert order._parts == (order._urn,)
    if isinstance(order, SieveOrder):
        assert set(order._parts) == {order._passed, order._ahead}
    if isinstance(order, S3FIFOOrder):
        assert order._parts == (order._small, order._main)
        audit_ghosts(order._ghosts, keys)
    if isinstance(order, AdaptiveOrder):
        audit_duel(order)


def audit_duel(order):
    """Check that a duel's sample and contenders agree with the order that they belong to."""
    duel = order._duel
    held = Counter()
    for number, contender in enumerate(duel._contenders):
        audit_order(contender)
        held.update(set(contender))
        assert contender._items is contender.tags
        assert contender.tags.keys() == set(contender)
        assert contender.currsize <= duel._room == duel._maxsize / duel._every
        assert all(tag is duel._samples[key].tags[number] for key, tag in contender.tags.items())
        assert all(tag.sample is duel._samples[key] for key, tag in contender.tags.items())
    assert all(duel.is_sampled(key) for key in duel._samples)
    resident = {key for key, sample in duel._samples.items() if sample.entry is not None}
    assert duel._samples.keys() == held.keys() | resident
    assert resident == {key for key in order if key in duel._samples}
    for key, sample in duel._samples.items():
        assert sample.holders == held[key] + (key in resident)
        assert sample.entry is (order._items[key] if key in resident else None)


@pytest.fixture(scope="session")
def audit():
    """A function that checks an order, or a cache with one, and raises AssertionError."""

    def check(target):
        order = target.order if isinstance(target, Held) else getattr(target, "_order", target)
        if isinstance(target, Held):
            assert set(order) == set(target.items)
        elif target is not order:
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
