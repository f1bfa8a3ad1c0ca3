"""What a duel knows of hits that only set a mark."""

from greencache.policies import Mark
from greencache.policies.duel import Duel


def clock_of(size):
    """Return a duel with a single contender, which is CLOCK."""
    return Duel(size, [(0.0, 1, 0.9)])


def mark(weight=1):
    """Return a mark as the real order has taken it in."""
    made = Mark()
    made.weight = weight
    return made


def test_a_hit_that_the_contender_would_have_missed_is_found_when_the_key_goes():
    """The real cache still had the key; the contender had let it go, and would have loaded it again."""
    duel = clock_of(2)
    duel.stored("warm", first := mark())
    for key in ("b", "c"):
        duel.stored(key, mark())
    contender = duel._contenders[0]
    assert "warm" not in contender
    before = duel._misses[0]
    first.marked = 2
    duel.evicted("warm")
    assert duel._misses[0] == before + duel._unit
    assert "warm" in contender


def test_a_key_without_hits_that_goes_is_no_miss_of_anybody():
    """Only requests can miss."""
    duel = clock_of(2)
    for key in ("a", "b", "c"):
        duel.stored(key, mark())
    before = duel._misses[0]
    duel.evicted("a")
    assert duel._misses[0] == before


def test_hits_on_a_new_entry_count_from_its_first():
    """However many the entry before it had."""
    duel = clock_of(1)
    duel.stored("a", old := mark())
    sample = duel._samples["a"]
    old.marked = 2
    duel.stored("b", mark())
    assert "a" not in duel._contenders[0]
    new = mark()
    duel.stored("a", new)
    assert duel._samples["a"] is sample
    new.marked = 1
    assert sample.tags[0].marked == 1


def test_a_key_that_nobody_holds_is_forgotten():
    """The sample does not grow with all keys that ever were."""
    duel = clock_of(2)
    for number in range(100):
        duel.stored(number, mark())
        duel.evicted(number)
    assert len(duel._samples) == 2


def test_what_is_larger_than_a_contender_is_a_miss_each_time():
    """It is not stored there, and nothing makes room for it."""
    duel = clock_of(4)
    duel.stored("a", mark())
    duel.stored("large", mark(9))
    assert set(duel._contenders[0]) == {"a"}
