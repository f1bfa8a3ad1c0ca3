"""S3-FIFO and SIEVE beside slow references, victim for victim."""

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greencache.policies import GreedyDualOrder, Mark, S3FIFOOrder, SieveOrder
from tests.policies.conftest import Held

ORDERS = {
    "sieve": lambda maxsize: Held(SieveOrder),
    "s3fifo": lambda maxsize: Held(functools.partial(S3FIFOOrder, maxsize)),
}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["use", "use", "use", "rewrite", "drop"]), st.integers(0, 14), st.integers(1, 5)
    ),
    max_size=200,
)


def some_orders():
    """Return orders that leave places behind or look at marks, with what a cache would hold."""
    return Held(SieveOrder), Held(functools.partial(S3FIFOOrder, 100)), Held(GreedyDualOrder)


class Pair:
    """An order and its reference, which get the same requests.

    Args:
        order: Ours.
        reference: The slow one.
        maxsize: What both may hold.
    """

    def __init__(self, order, reference, maxsize):
        self.order = order
        self.reference = reference
        self.maxsize = maxsize
        self.marks = {}
        self.weights = {}

    def use(self, key, weight):
        """Hit a key, or store it."""
        if key in self.marks:
            mark = self.marks[key]
            mark.marked = min(3, mark.marked + 1)
            self.reference.get(key)
        else:
            self.store(key, weight)

    def rewrite(self, key, weight):
        """Store a key whether or not it is there; one that is there keeps its weight."""
        self.store(key, self.weights.get(key, weight))

    def store(self, key, weight):
        """Make room and store."""
        if key not in self.marks:
            while sum(self.weights.values()) + weight > self.maxsize:
                victim = self.order.evict()
                assert victim == self.reference.evict()
                del self.marks[victim], self.weights[victim]
        self.weights[key] = weight
        self.order.add(key, self.marks.setdefault(key, Mark()), weight)
        self.reference.put(key, weight)

    def drop(self, key, weight):
        """Remove a key for another reason."""
        self.order.discard(key)
        if key in self.marks:
            self.reference.remove(key)
            del self.marks[key], self.weights[key]


@pytest.mark.parametrize("name", ORDERS)
@given(steps=STEPS, maxsize=st.integers(5, 40))
@settings(max_examples=300, deadline=None)
def test_every_victim_is_the_reference_s(name, references, audit, steps, maxsize):
    """Whatever is stored, hit, rewritten and dropped, by weight."""
    pair = Pair(ORDERS[name](maxsize), references[name](maxsize), maxsize)
    for step, key, weight in steps:
        getattr(pair, step)(key, weight)
        assert set(pair.order) == set(pair.marks)
        assert pair.order.currsize == sum(pair.weights.values()) <= maxsize
    audit(pair.order)


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("maxsize", [10, 97, 400])
def test_a_long_trace_evicts_as_the_reference_does(name, maxsize, references, own_trace):
    """By count, over many rounds of the queues."""
    pair = Pair(ORDERS[name](maxsize), references[name](maxsize), 10**9)
    for key in own_trace[:6000]:
        if key not in pair.marks and len(pair.marks) == maxsize:
            victim = pair.order.evict()
            assert victim == pair.reference.evict()
            del pair.marks[victim], pair.weights[victim]
        pair.use(key, 1)


def test_dead_slots_do_not_pile_up(audit):
    """Keys that are stored and dropped for ever leave nothing behind."""
    for order in some_orders():
        for number in range(10_000):
            order.add(number % 7, Mark(), 1)
            order.discard(number % 7)
            order.add(number, Mark(), 1)
            order.discard(number)
        audit(order)
        assert len(order) == 0
        places = [order._heap.heap] if isinstance(order.order, GreedyDualOrder) else order._parts
        assert all(len(getattr(part, "places", part)) < 100 for part in places)


def test_a_dropped_entry_is_not_kept_alive_by_its_place():
    """A dead slot waits in its queue; what it stood for must be gone."""
    import weakref

    class Entry:
        marked = 0

    for order in some_orders():
        entry = Entry()
        alive = weakref.ref(entry)
        order.add("a", entry, 1)
        order.discard("a")
        del entry
        assert alive() is None


def test_an_order_that_is_empty_has_no_victim():
    """KeyError, as from an empty dict."""
    for order in some_orders():
        with pytest.raises(KeyError):
            order.evict()


def test_readers_that_mark_as_fast_as_marks_are_cleared_do_not_stop_an_eviction():
    """On other cores they may; the search goes around a bounded number of times."""

    class Hot:
        marked = property(lambda self: 3, lambda self, count: None)

    for order in some_orders():
        for key in range(5):
            order.add(key, Hot(), 1)
        assert order.evict() in range(5)
