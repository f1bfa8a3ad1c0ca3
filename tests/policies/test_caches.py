"""What cachetools promises, for every policy."""

import copy
import math
import pickle

import cachetools
import pytest

from greencache.errors import ConfigurationError
from greencache.policies import POLICIES, policy_named


@pytest.fixture(params=sorted(POLICIES))
def policy(request):
    """Each policy in turn."""
    return POLICIES[request.param]


def identity(value):
    """Weigh a number as much as it is; a function that can be pickled."""
    return value


def test_it_is_a_cachetools_cache(policy):
    """Libraries that take one take ours."""
    assert isinstance(policy(1), cachetools.Cache)


def test_a_new_cache_is_empty(policy):
    """And says what it could hold."""
    cache = policy(maxsize=3)
    assert (len(cache), cache.maxsize, cache.currsize, cache.getsizeof("any")) == (0, 3, 0, 1)
    assert repr(cache).startswith(policy.__name__) or policy.__module__.startswith("cachetools")


@pytest.mark.parametrize("maxsize", [-1, -math.inf])
def test_a_negative_size_is_refused(policy, maxsize):
    """When the cache is made."""
    with pytest.raises(ValueError):
        policy(maxsize)


def test_a_cache_without_room_stores_nothing(policy):
    """Size 0 is allowed, and always full."""
    cache = policy(0)
    with pytest.raises(ValueError, match="value too large"):
        cache[1] = 1
    assert len(cache) == cache.currsize == 0


def test_a_cache_without_limit_keeps_everything(policy):
    """Infinity is a size."""
    cache = policy(math.inf)
    cache.update((number, number) for number in range(500))
    assert len(cache) == cache.currsize == 500


def test_the_count_is_bounded_and_the_newest_is_there(policy):
    """Whatever goes, it is not what has just come."""
    cache = policy(3)
    for number in range(50):
        cache[number] = -number
        assert cache[number] == -number
        assert len(cache) == cache.currsize == min(number + 1, 3)


def test_it_is_a_mapping(policy):
    """Get, set, delete, pop, setdefault, update, iteration, membership."""
    cache = policy(10)
    cache.update({1: "a", 2: "b"})
    cache.setdefault(3, "c")
    assert cache.setdefault(3, "d") == "c"
    assert dict(cache) == {1: "a", 2: "b", 3: "c"}
    assert cache.get(4) is None
    assert cache.get(4, "x") == "x"
    assert (cache.pop(1), cache.pop(1, "gone")) == ("a", "gone")
    del cache[2]
    assert 2 not in cache
    for missing in (lambda: cache[2], lambda: cache.pop(2), lambda: cache.__delitem__(2)):
        with pytest.raises(KeyError):
            missing()
    assert list(cache.items()) == [(3, "c")]


def test_popitem_empties_it_and_then_says_so(policy):
    """Each pair once."""
    cache = policy(5)
    cache.update({number: -number for number in range(5)})
    assert dict(cache.popitem() for _ in range(5)) == {number: -number for number in range(5)}
    with pytest.raises(KeyError, match="is empty"):
        cache.popitem()


def test_values_are_weighed(policy):
    """By the function given, which may also say 0."""
    cache = policy(10, getsizeof=identity)
    cache.update({1: 1, 2: 2, 3: 3})
    assert cache.currsize == 6
    cache[4] = 8
    assert cache[4] == 8
    assert cache.currsize == sum(cache.values()) <= 10
    cache[5] = 0
    assert cache[5] == 0
    with pytest.raises(ValueError, match="value too large"):
        cache[6] = 11
    assert 6 not in cache
    with pytest.raises(ValueError):
        cache[7] = -1


def test_a_value_that_grows_or_shrinks_is_weighed_anew(policy):
    """And pushes others out when it must."""
    cache = policy(4, getsizeof=identity)
    cache.update({1: 1, 2: 2})
    cache[1] = 2
    assert cache.currsize == 4
    cache[2] = 4
    assert dict(cache) == {2: 4}
    cache[2] = 1
    assert cache.currsize == 1


def test_missing_keys_can_be_computed(policy):
    """`__missing__` may store what it returns, or not."""

    class Squares(policy):
        def __missing__(self, key):
            if key % 2:
                self[key] = key * key
            return key * key

    cache = Squares(2)
    assert (cache[3], cache[4]) == (9, 16)
    assert 3 in cache
    assert 4 not in cache
    assert cache.get(5) is None


def test_clear_leaves_a_cache_that_works(policy):
    """Sizes, order and what was learnt begin anew."""
    cache = policy(3, getsizeof=identity)
    cache.update({1: 1, 2: 2})
    cache.clear()
    assert len(cache) == cache.currsize == 0
    cache.update({1: 1, 2: 2})
    assert cache.currsize == 3


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda cache: pickle.loads(pickle.dumps(cache))]
)
def test_copies_are_caches_of_their_own(policy, duplicate):
    """With the same contents; what happens to one does not happen to the other."""
    cache = policy(6, getsizeof=identity)
    cache.update({1: 1, 2: 2, 3: 3})
    twin = duplicate(cache)
    assert (dict(twin), twin.currsize, twin.maxsize) == ({1: 1, 2: 2, 3: 3}, 6, 6)
    twin[4] = 4
    del twin[4]
    twin.clear()
    assert dict(cache) == {1: 1, 2: 2, 3: 3}
    while cache:
        cache.popitem()
    assert cache.currsize == 0


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda cache: pickle.loads(pickle.dumps(cache))])
def test_what_was_removed_before_a_copy_is_not_in_its_way(policy, duplicate):
    """A copy knows which places are empty, and evicts all that is there."""
    cache = policy(40)
    cache.update({number: -number for number in range(40)})
    for number in range(0, 40, 2):
        del cache[number]
    twin = duplicate(cache)
    assert sorted(twin.popitem() for _ in range(20)) == [(number, -number) for number in range(1, 40, 2)]
    assert len(twin) == 0


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_policy_is_found_by_its_name(name):
    """It weighs by the bytes that are its values."""
    policy = policy_named(name, 100)
    policy["a"] = 60
    policy["b"] = 40
    assert policy.currsize == 100
    policy["c"] = 1
    assert policy.currsize <= 61


def test_an_unknown_name_is_refused_with_those_that_exist():
    """The message says what could be written instead."""
    with pytest.raises(
        ConfigurationError, match=r"default, s3fifo, sieve, gdsf, lru, lfu, fifo, random, got 'lru2'"
    ):
        policy_named("lru2", 100)
