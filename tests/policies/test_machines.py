"""Every policy beside a model, whatever is done in whatever order."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from greencache.policies import POLICIES

KEYS = st.integers(0, 11)
VALUES = st.tuples(st.integers(0, 999), st.integers(0, 6))


def weight_of(value):
    """Return what a value of the model weighs."""
    return value[1]


class PolicyMachine(RuleBasedStateMachine):
    """A cache, and a dict of what was last written under each key.

    A cache may have forgotten a key, but never has another value, and never weighs more than it may.
    """

    policy = None
    check = None
    by_weight = True

    def __init__(self):
        super().__init__()
        self.cache = self.policy(12, getsizeof=weight_of if self.by_weight else None)
        self.written = {}
        self.arrivals = []
        self.uses = []

    def weigh(self, value):
        """Return what a value weighs in this cache."""
        return weight_of(value) if self.by_weight else 1

    def note_use(self, key):
        """Note that a key was used now."""
        self.uses = [*(used for used in self.uses if used != key), key]

    @rule(key=KEYS, value=VALUES)
    def write(self, key, value):
        """What was written is there at once."""
        # FIFO moves what is rewritten to the end, as cachetools has it.
        self.arrivals = [*(arrived for arrived in self.arrivals if arrived != key), key]
        self.cache[key] = value
        self.written[key] = value
        self.note_use(key)
        assert key in self.cache

    @rule(key=KEYS)
    def read(self, key):
        """A hit is what was last written; a miss is a KeyError."""
        if key in self.cache:
            assert self.cache[key] == self.written[key]
            self.note_use(key)
        else:
            with pytest.raises(KeyError):
                self.cache[key]

    @rule(key=KEYS)
    def delete(self, key):
        """What is deleted is gone."""
        assert self.cache.pop(key, None) in (None, self.written.get(key))
        assert key not in self.cache

    @precondition(lambda self: len(self.cache))
    @rule()
    def evict(self):
        """The victim was there, and is the policy's: the least recently used, or the first to arrive."""
        present = set(self.cache)
        key, value = self.cache.popitem()
        assert key in present
        assert value == self.written[key]
        assert set(self.cache) == present - {key}
        if self.policy is POLICIES["lru"]:
            assert key == next(used for used in self.uses if used in present)
        if self.policy is POLICIES["fifo"]:
            assert key == next(arrived for arrived in self.arrivals if arrived in present)

    @rule()
    def clear(self):
        """Nothing is left."""
        self.cache.clear()
        assert len(self.cache) == 0

    @invariant()
    def sizes_are_true(self):
        """At any time."""
        assert self.cache.currsize == sum(self.weigh(self.written[key]) for key in self.cache) <= 12

    def teardown(self):
        """The books agree in the end."""
        if hasattr(self.cache, "_order"):
            self.check(self.cache)


@pytest.mark.parametrize("by_weight", [True, False], ids=["by weight", "by count"])
@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_policy_is_a_bounded_mapping(name, by_weight, audit):
    """Reads see the last write or nothing; sizes hold; LRU and FIFO evict in their order."""

    class Machine(PolicyMachine):
        policy = POLICIES[name]
        check = staticmethod(audit)

    Machine.by_weight = by_weight
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=60, stateful_step_count=60, deadline=None, database=None)
    )
