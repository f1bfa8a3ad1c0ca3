"""Leases are extended in time, as long as the load that they are for lasts, and not longer than patience."""

import itertools
import os
import threading
import time
import warnings

import pytest

from greencache.loading import keeper as keeper_module
from greencache.loading.keeper import LeaseKeeper
from greencache.testing import wait_until


class Tier:
    """A tier that remembers what it was asked to extend.

    Args:
        lease_ttl: Seconds that a lease lasts.
        good: The keys whose lease is good; `None` during an outage.
    """

    def __init__(self, lease_ttl=0.06, good=()):
        self.lease_ttl = lease_ttl
        self.good = good
        self.asked = []

    def extend_many(self, leases):
        """Take note, and return the keys whose lease is good."""
        self.asked.append((time.monotonic(), dict(leases)))
        return None if self.good is None else set(self.good)


@pytest.fixture
def keeper():
    """A keeper that is closed when the test ends."""
    keeper = LeaseKeeper(30.0)
    yield keeper
    keeper.close()


def test_leases_are_extended_in_time_again_and_again(keeper):
    """Before two thirds of a lease are over, however often."""
    tier = Tier(lease_ttl=0.6, good={"k"})
    began = time.monotonic()
    with keeper.keeping([(tier, {"k": "token"})]):
        wait_until(lambda: len(tier.asked) >= 4, reason="the lease was extended four times")
    moments = [began, *(moment for moment, _ in tier.asked)]
    assert all(leases == {"k": "token"} for _, leases in tier.asked)
    assert max(later - sooner for sooner, later in itertools.pairwise(moments)) < 0.6


def test_a_short_lease_is_extended_though_the_keeper_has_been_idle(keeper):
    """How long it sleeps is decided by what it may have to keep next."""
    patient = Tier(lease_ttl=30.0, good={"k"})
    with keeper.keeping([(patient, {"k": "token"})]):
        wait_until(lambda: keeper._is_running, reason="the keeper sleeps")
        brief = Tier(lease_ttl=0.3, good={"k"})
        began = time.monotonic()
        with keeper.keeping([(brief, {"k": "token"})]):
            wait_until(lambda: brief.asked, reason="the short lease was extended")
    assert brief.asked[0][0] - began < 0.3


def test_a_lease_that_is_not_good_any_more_is_not_asked_for_again(keeper):
    """One of two was dropped."""
    tier = Tier(good={"kept"})
    with keeper.keeping([(tier, {"kept": "1", "dropped": "2"})]):
        wait_until(lambda: len(tier.asked) >= 3, reason="the leases were extended three times")
    assert [set(leases) for _, leases in tier.asked[:3]] == [{"kept", "dropped"}, {"kept"}, {"kept"}]


def test_leases_are_asked_for_again_after_an_outage(keeper):
    """Nobody has said that they are void."""
    tier = Tier(good=None)
    with keeper.keeping([(tier, {"k": "token"})]):
        wait_until(lambda: len(tier.asked) >= 2, reason="the lease was to be extended twice")
        tier.good = {"k"}
        wait_until(lambda: len(tier.asked) >= 4, reason="the lease was extended")
    assert all(leases == {"k": "token"} for _, leases in tier.asked)


def test_a_load_that_hangs_is_not_kept():
    """No longer than the longest load."""
    keeper, tier = LeaseKeeper(0.1), Tier(good={"k"})
    began = time.monotonic()
    with keeper.keeping([(tier, {"k": "token"})]):
        wait_until(lambda: time.monotonic() > began + 0.4, reason="the load has lasted too long")
        assert tier.asked
        assert all(moment < began + 0.2 for moment, _ in tier.asked)
    keeper.close()


def test_the_thread_ends_when_there_is_nothing_to_keep_and_starts_again(keeper, monkeypatch):
    """A process that loads nothing has no thread for it."""
    monkeypatch.setattr(keeper_module, "_IDLE_ROUNDS", 1)
    tier = Tier(good={"k"})
    for count in (1, 2):
        with keeper.keeping([(tier, {"k": "token"})]):
            wait_until(lambda: keeper._is_running, reason="the keeper runs")
            wait_until(lambda count=count: len(tier.asked) >= count, reason="the lease was extended")
        wait_until(lambda: not keeper._is_running, reason="the keeper has ended")
        tier.asked[:] = tier.asked[:count]


def test_nothing_to_keep_starts_no_thread(keeper):
    """As in a cache of memory alone."""
    with keeper.keeping([]):
        assert not keeper._is_running


def test_a_closed_keeper_keeps_nothing():
    """Its thread ends, and none starts."""
    keeper, tier = LeaseKeeper(30.0), Tier(good={"k"})
    with keeper.keeping([(tier, {"k": "token"})]):
        wait_until(lambda: tier.asked, reason="the lease was extended")
        keeper.close()
        wait_until(lambda: not keeper._is_running, reason="the thread has ended")
        count = len(tier.asked)
        with keeper.keeping([(tier, {"k": "token"})]):
            assert not keeper._is_running
    assert len(tier.asked) == count


def test_a_load_goes_on_when_no_thread_is_to_be_had(keeper, monkeypatch):
    """It may then run twice, and that is all; the next one tries again."""

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    tier = Tier(good={"k"})
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with keeper.keeping([(tier, {"k": "token"})]):
            assert not keeper._is_running
    with keeper.keeping([(tier, {"k": "token"})]):
        wait_until(lambda: tier.asked, reason="the lease was extended")


def test_what_a_tier_raises_does_not_end_the_keeping_of_others(keeper, monkeypatch):
    """An error that nobody has thought of costs one tier's leases, not those of all loads."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    broken, sound = Tier(good={"k"}), Tier(good={"k"})

    def fail(leases):
        raise ZeroDivisionError

    broken.extend_many = fail
    with keeper.keeping([(broken, {"k": "1"})]), keeper.keeping([(sound, {"k": "2"})]):
        wait_until(lambda: len(sound.asked) >= 3, reason="the other lease was extended three times")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_keeps_its_own_leases_and_none_of_its_parents(keeper):
    """The thread is the parent's, and so are its loads."""
    ours, theirs = Tier(good={"k"}), Tier(good={"k"})
    with keeper.keeping([(ours, {"k": "token"})]), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        wait_until(lambda: ours.asked, reason="the parent keeps its lease")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                ours.asked.clear()
                with keeper.keeping([(theirs, {"k": "token"})]):
                    wait_until(lambda: len(theirs.asked) >= 3, reason="the child keeps its lease")
                code = 2 if ours.asked else 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        count = len(ours.asked)
        wait_until(lambda: len(ours.asked) > count, reason="the parent goes on")
