"""What is remembered of keys that were evicted: exactly, or by fingerprints."""

import math

import pytest

from greencache.policies.ghosts import GhostQueue, GhostTable

KINDS = [GhostQueue, GhostTable]


def remembering(kind, keys, *, maxsize, weight=1):
    """Return what remembers keys that were evicted one after the other."""
    ghosts = kind(maxsize)
    for key in keys:
        ghosts.remember(key, weight)
    assert not ghosts.recall("unknown")  # a queue lets the oldest go only now
    return ghosts


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_keys_are_remembered_and_older_ones_are_not(kind):
    """Of keys that fill it three times over."""
    ghosts = remembering(kind, range(3000), maxsize=1000)
    recalled = [key for key in range(3000) if ghosts.recall(key)]
    assert sum(key >= 2000 for key in recalled) >= 850
    assert sum(key < 1998 for key in recalled) <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_count(kind):
    """A hundred keys of ten are as many as a thousand of one."""
    ghosts = remembering(kind, range(1000), maxsize=1000, weight=10)
    recalled = [key for key in range(1000) if ghosts.recall(key)]
    assert set(recalled) <= set(range(899, 1000))
    assert len(recalled) >= 85


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_recalled_is_forgotten(kind):
    """It is in the cache again."""
    ghosts = remembering(kind, ["a"], maxsize=10)
    assert ghosts.recall("a")
    assert not ghosts.recall("a")


@pytest.mark.parametrize("kind", KINDS)
def test_more_or_less_is_remembered_from_now_on(kind):
    """A window that changes, as far as a duel changes it."""
    ghosts = remembering(kind, range(5000), maxsize=1000)
    ghosts.resize(500)
    assert not ghosts.recall("unknown")
    assert not any(ghosts.recall(key) for key in range(4000, 4499))
    ghosts.resize(2000)
    for key in range(5000, 10_000):
        ghosts.remember(key, 1)
    assert sum(ghosts.recall(key) for key in range(8000, 10_000)) >= 1600


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("maxsize", [0, 1, math.inf])
def test_bounds_that_bound_nothing_or_all(kind, maxsize):
    """No error, and at most what fits."""
    ghosts = remembering(kind, range(100), maxsize=maxsize)
    recalled = sum(ghosts.recall(key) for key in range(100))
    assert recalled <= maxsize + 1


def test_keys_without_weight_do_no_harm():
    """Caches may hold what weighs nothing."""
    ghosts = remembering(GhostTable, range(1000), maxsize=100, weight=0)
    assert ghosts.recall(999)


@pytest.mark.parametrize("count", [300, 5000, 70_000])
def test_a_table_takes_at_most_32_bytes_a_key(count):
    """As large as what is evicted asks for, and no larger."""
    ghosts = remembering(GhostTable, map(str, range(3 * count)), maxsize=count)
    assert 4 * len(ghosts._slots) <= 32 * count


def test_a_table_shrinks_where_keys_have_become_heavier():
    """Fewer fit, so fewer are to be remembered."""
    ghosts = remembering(GhostTable, range(40_000), maxsize=10_000)
    large = len(ghosts._slots)
    for key in range(40_000):
        ghosts.remember(key, 100)
    assert len(ghosts._slots) < large / 8
