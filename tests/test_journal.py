"""What the journal of reads keeps, and what it costs in memory."""

import os
import threading

import pytest

from greencache import CacheTier
from greencache.journal import Journal, Outcome, ReadRecord
from greencache.testing import FakeClock


@pytest.fixture
def clock():
    """A clock that stands still until it is moved."""
    return FakeClock()


def test_the_last_outcomes_of_a_key_are_kept_in_order(clock):
    """The newest is the last one, with everything that was said of it."""
    journal = Journal(clock, depth=3)
    for number in range(4):
        journal.note("a", Outcome.LOADED, seconds=number)
        clock.advance(1.0)
    journal.note("a", Outcome.NOT_STORED, CacheTier.L2, CacheTier.L3, detail="dropped meanwhile")
    journal.note("b", Outcome.MISSED)
    assert [record.seconds for record in journal.recent("a")] == [2, 3, None]
    assert journal.recent("a")[-1] == ReadRecord(
        clock.now(),
        clock.wall(),
        Outcome.NOT_STORED,
        (CacheTier.L2, CacheTier.L3),
        None,
        "dropped meanwhile",
    )
    assert journal.recent("never read") == ()


def test_no_more_keys_are_kept_than_agreed_and_those_read_last_stay(clock):
    """However many keys a program reads."""
    journal = Journal(clock, capacity=100)
    for number in range(1_000):
        journal.note("again and again", Outcome.JOINED)
        journal.note(f"k{number}", Outcome.MISSED)
        clock.advance(0.001)
        assert len(journal) <= 100
    assert len(journal.recent("again and again")) == 8
    assert journal.recent("k999")
    assert journal.recent("k950")
    assert journal.recent("k0") == ()


def test_of_a_large_batch_no_more_is_noted_than_is_kept(clock):
    """A batch must not cost more than it leaves behind."""
    journal = Journal(clock, capacity=10)
    taken = []
    journal.note_many((taken.append(n) or f"k{n}" for n in range(1_000)), Outcome.HIT, CacheTier.L3)
    assert len(taken) == 10
    assert journal.recent("k9")[0].tiers == (CacheTier.L3,)


def test_writers_and_readers_do_not_disturb_one_another(clock):
    """No error and no more keys than agreed, whoever writes at the same time."""
    journal = Journal(clock, capacity=50)
    errors = []

    def work(name):
        try:
            for number in range(3_000):
                journal.note(f"{name}{number % 70}", Outcome.LOADED)
                journal.recent(f"{name}{number % 35}")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    # Each thread may have made room before it adds its own key.
    assert len(journal) <= 50 + len(threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_does_not_take_its_parents_reads_for_its_own(clock):
    """`explain` speaks of this process."""
    journal = Journal(clock)
    journal.note("a", Outcome.LOADED)
    child = os.fork()
    if not child:
        os._exit(len(journal))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert journal.recent("a")
