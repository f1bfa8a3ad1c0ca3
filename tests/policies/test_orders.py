"""Every order, as a cache uses it whose hits take no lock."""

import functools
import random

import pytest

from greencache.errors import ConfigurationError
from greencache.policies import POLICIES, Mark, order_named
from tests.policies.conftest import Held


def held(name, size):
    """Return the order of a name, with what a cache would hold."""
    return Held(functools.partial(order_named, name, size))


@pytest.fixture(params=sorted(POLICIES))
def order(request):
    """Each order in turn, for a size of 100."""
    return held(request.param, 100)


def test_whatever_is_done_the_books_agree(order, audit):
    """Keys come, are hit, rewritten with other weights, dropped and evicted."""
    chance = random.Random(4)
    model = {}
    for number in range(4000):
        key, weight = chance.randrange(60), chance.randrange(1, 9)
        while order.currsize - order.weight_of(key) + weight > 100:
            del model[order.evict()]
        mark = Mark()
        mark.marked = chance.randrange(4)
        order.add(key, mark, weight)
        model[key] = weight
        if number % 7 == 0:
            dropped = chance.randrange(60)
            order.discard(dropped)
            model.pop(dropped, None)
        assert set(order) == set(model)
        assert order.currsize == sum(model.values()) <= 100
    audit(order)
    assert {key: order.weight_of(key) for key in range(60)} == {key: model.get(key, 0) for key in range(60)}
    while model:
        del model[order.evict()]
    with pytest.raises(KeyError):
        order.evict()


def test_a_rewritten_key_hands_its_marks_on(order):
    """What was hit often stays popular when its value is renewed."""
    old, new = Mark(), Mark()
    order.add("a", old, 1)
    old.marked = 1
    order.add("a", new, 2)
    assert new.marked == 2
    assert (len(order), order.currsize) == (1, 2)


@pytest.mark.parametrize("name", ["default", "s3fifo", "sieve", "gdsf", "lru", "lfu"])
def test_a_hit_saves_a_key_from_eviction(name):
    """Of keys that came at the same time, one that was hit goes last."""
    order = held(name, 3)
    marks = [Mark() for _ in range(3)]
    for key, mark in enumerate(marks):
        order.add(key, mark, 1)
    marks[0].marked = 2
    assert {order.evict(), order.evict()} == {1, 2}


def test_first_in_first_out_whatever_is_hit():
    """FIFO takes no notice of marks."""
    order = held("fifo", 3)
    for key in range(3):
        mark = Mark()
        mark.marked = 3 - key
        order.add(key, mark, 1)
    order.discard(1)
    assert [order.evict(), order.evict()] == [0, 2]


def test_random_victims_are_spread_evenly():
    """Each key is the victim about as often as any other."""
    counts = dict.fromkeys(range(5), 0)
    for _ in range(2000):
        order = held("random", 5)
        for key in counts:
            order.add(key, Mark(), 1)
        counts[order.evict()] += 1
    assert all(300 < count < 500 for count in counts.values())


def test_an_unknown_order_is_refused():
    """With the names that there are."""
    with pytest.raises(ConfigurationError, match="got 'mru'"):
        order_named("mru", 100, {})
