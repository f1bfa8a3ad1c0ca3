"""One load per key: who leads, who follows, and what they get."""

import os
import threading
from concurrent.futures import Future, InvalidStateError

import pytest

from greencache.flight import FlightTable


def in_thread(work):
    """Run work on another thread and return what it returned."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join(10)
    return results[0]


def test_the_first_leads_and_others_follow():
    """Until the flight lands; then the next one leads."""
    table = FlightTable()
    flight, is_leader = table.join("k")
    assert is_leader
    same, follows = in_thread(lambda: table.join("k"))
    assert same is flight
    assert not follows
    table.land("k", flight, "found")
    assert same.wait(0) == "found"
    assert in_thread(lambda: table.join("k"))[1]


def test_a_follower_gets_the_leaders_error():
    """Unchanged."""
    table = FlightTable()
    flight, _ = table.join("k")
    table.crash("k", flight, LookupError("gone"))
    with pytest.raises(LookupError, match="gone"):
        flight.wait(0)


def test_a_leader_that_asks_again_leads_an_inner_flight_of_its_own():
    """It would wait for itself; the outer flight keeps its place for others."""
    table = FlightTable()
    outer, _ = table.join("k")
    inner, is_leader = table.join("k", inside=[outer])
    assert is_leader
    assert inner is not outer
    table.land("k", inner, 1)
    assert in_thread(lambda: table.join("k")) == (outer, False)


def test_nobody_joins_a_detached_flight():
    """Its leader still lands, without ending the flight that has taken its place."""
    table = FlightTable()
    old, _ = table.join("k")
    table.detach(["k"])
    new, is_leader = in_thread(lambda: table.join("k"))
    assert is_leader
    table.land("k", old, "old")
    assert len(table) == 1
    table.land("k", new, "new")
    assert len(table) == 0


def test_flights_are_detached_by_what_their_keys_match():
    """For patterns and tags."""
    table = FlightTable()
    table.join("user:1")
    table.join("other")
    table.detach_where(lambda key: key.startswith("user:"))
    assert in_thread(lambda: table.join("user:1"))[1]
    assert not in_thread(lambda: table.join("other"))[1]


def test_a_wait_has_an_end():
    """A follower does not wait for ever."""
    table = FlightTable()
    flight, _ = table.join("k")
    with pytest.raises(TimeoutError):
        flight.wait(0.01)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_waits_for_no_leader_of_its_parent():
    """No thread of the parent lives in the child, and its lock may be held by one of them."""
    table = FlightTable()
    table.join("k")
    with table.lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if table.join("k")[1] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_who_asks_after_the_landing_has_what_was_found():
    """The future is made for who asks first, before the landing or after it."""
    table = FlightTable()
    flight, _ = table.join("k")
    table.land("k", flight, 1)
    assert flight.has_landed
    assert flight.wait(0) == flight.wait(0, is_own=False) == 1
    failed, _ = table.join("k")
    table.crash("k", failed, LookupError("gone"))
    with pytest.raises(LookupError, match="gone"):
        failed.wait(0)


def test_a_flight_lands_once():
    """A second outcome would reach only those who ask late."""
    table = FlightTable()
    flight, _ = table.join("k")
    table.land("k", flight, 1)
    with pytest.raises(InvalidStateError):
        table.land("k", flight, 2)
    assert flight.wait(0) == 1


def test_a_flight_that_has_landed_has_its_outcome_before_those_who_wait_are_woken(monkeypatch):
    """Between the two, whoever looks, or has waited for long enough, would be told that it came too late."""
    table = FlightTable()
    flight, _ = table.join("k")
    seen = []

    class Probed(Future):
        def set_result(self, result):
            seen.append((flight.has_landed, flight.wait(0), flight.wait(0, is_own=False)))
            super().set_result(result)

    monkeypatch.setattr("greencache.flight.Future", Probed)
    waited_for = flight.future
    table.land("k", flight, 1)
    assert seen == [(True, 1, 1)]
    assert waited_for.result(0) == 1


def test_who_is_interrupted_while_it_makes_the_future_leaves_none_that_never_ends(monkeypatch):
    """The next one would wait for it until it gives up."""
    table = FlightTable()
    flight, _ = table.join("k")
    table.land("k", flight, 1)

    class Interrupted(Future):
        def set_result(self, _):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("greencache.flight.Future", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            _ = flight.future
    assert flight.future.result(0) == 1
