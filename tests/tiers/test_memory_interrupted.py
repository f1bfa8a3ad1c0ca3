"""Whatever line a change is interrupted at, such as by a signal's exception, L1 works on."""

import sys

import pytest

from greencache import CacheManager
from greencache.policies import POLICIES
from greencache.tiers.memory import MemoryTier
from tests.tiers.test_memory_threads import audit

SIZE = 30_000
CHANGES = {
    "store": lambda cache: cache.set("k999", (999, "y" * 300), tags=["t"]),
    "drop": lambda cache: cache.delete("k42"),
    "pin": lambda cache: cache.l1.pin("k42"),
    "invalidate": lambda cache: cache.invalidate(tags=["t"]),
}


class InterruptionError(Exception):
    """What a signal's handler raises."""


class Interruption:
    """Ends a call at one of the lines that change L1.

    Args:
        line: Which, counted as they run.
    """

    def __init__(self, line):
        self.left = line

    def __call__(self, frame, event, _):
        """Be the tracer."""
        name = frame.f_code.co_filename
        if "/policies/" not in name and not name.endswith(("memory_entries.py", "pins.py", "tag_index.py")):
            return None
        if frame.f_code.co_name == "_owned":
            # It holds a lock of its own, for two lines without a call: there a tracer can end it, no signal.
            return None
        self.left -= event == "line"
        if not self.left:
            sys.settrace(None)
            raise InterruptionError
        return self


def interrupt(change, line):
    """Make a change that is interrupted, and return whether it was."""
    former = sys.gettrace()
    sys.settrace(Interruption(line))
    try:
        change()
    except InterruptionError:
        return True
    finally:
        sys.settrace(former)
    return False


def filled(policy):
    """Return a cache that is full, its tier, and how many entries it had room for."""
    tier = MemoryTier(SIZE, policy=policy)
    cache = CacheManager([tier])
    for number in range(150):
        cache.set(f"k{number}", (number, "x" * 50), tags=["t"] if number % 2 else [])
        cache.get(f"k{number // 3}")
    return cache, tier


@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_change_that_is_interrupted_breaks_nothing(policy, change):
    """At each of its lines: entries come and go afterwards, and the books agree."""
    for line in range(1, 2_000, 7):  # the lines of a change repeat, and each offset is met by some change
        cache, tier = filled(policy)
        if not interrupt(lambda: CHANGES[change](cache), line):  # noqa: B023 -- called at once
            break
        for number in range(1000, 1150):
            cache.set(f"k{number}", (number, "x" * 50))
            assert cache.get(f"k{number}") == (number, "x" * 50)
        cache.delete("k1149")
        audit(tier)
    assert 1 < line < 1_990


def test_what_is_asked_of_an_l1_that_cannot_be_done_empties_nothing(monkeypatch):
    """A refusal is no interruption."""
    from greencache.errors import InvalidArgumentError

    monkeypatch.setattr("greencache.tiers.pins._MOST_WANTED", 1)
    cache, tier = filled("default")
    before = len(tier.index)
    cache.l1.pin("k149")
    with pytest.raises(InvalidArgumentError):
        cache.l1.pin("k148")
    cache.set("k149", (149, "z"))
    assert len(tier.index) == before
