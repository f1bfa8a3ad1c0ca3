"""Leaders that die, sleep, fail or ask for what they load: who waits for them goes on."""

import contextlib
import time

import pytest

from greencache.testing import RedisServer
from tests.faults.loader_client import Caller

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

LEASE_TTL = 1.0
SLACK = 1.0
"""Seconds that a busy machine may add."""
PATIENCE = 1.0
"""Of the impatient; the others have more than the tests take."""


@pytest.fixture(scope="module")
def urls():
    """The addresses of one shared Redis."""
    with RedisServer() as server:
        yield {"l3": server.url}


@contextlib.contextmanager
def pair_of_callers(urls, **options):
    """Start two processes, and end them."""
    callers = [Caller(urls, lease_ttl=LEASE_TTL, **options) for _ in range(2)]
    try:
        yield [caller.await_ready() for caller in callers]
    finally:
        for caller in callers:
            caller.kill()


@pytest.fixture(scope="module")
def pair(urls):
    """Two processes."""
    with pair_of_callers(urls, patience=20.0) as pair:
        yield pair


@pytest.fixture(scope="module")
def impatient_pair(urls):
    """Two processes that do not wait long for others."""
    with pair_of_callers(urls, patience=PATIENCE) as pair:
        yield pair


def test_the_lease_of_a_leader_that_was_killed_ends_by_itself(urls, pair, figure, is_long):
    """Whoever waits takes over, and all who wait there get what it loads."""
    takeovers = []
    for number in range(5 if is_long else 1):
        key = f"killed-{number}"
        leader = Caller(urls, lease_ttl=LEASE_TTL)
        leader.call(key, "hang")
        leader.await_loading(key)
        pair[0].call(key, threads=8, value="new")
        died = leader.kill()
        answers = pair[0].await_answers(key, 8)
        assert {answer.value for answer in answers} == {"new"}
        assert len(pair[0].loads(key)) == 1
        takeovers.append(round(max(answer.ended for answer in answers) - died, 3))
    figure(67, "takeover after SIGKILL", max(takeovers), "s", f"<= {LEASE_TTL + SLACK}", all=takeovers)


def test_a_leader_that_wakes_after_its_lease_stores_nothing(pair, figure):
    """Somebody else has loaded meanwhile; its own value is refused, and nobody loads a third time."""
    key = "slept"
    leader, other = pair
    refused = leader.count("refused_fills")
    leader.call(key, "hang", value="old")
    leader.await_loading(key)
    leader.pause()
    stopped = time.monotonic()
    other.call(key, threads=4, value="new")
    answers = other.await_answers(key, 4)
    leader.resume()
    leader.release()
    leader.await_answers(key, 1)
    other.call(key, value="newer")
    other.await_answers(key, 5)
    takeover = max(answer.ended for answer in answers) - stopped
    figure(68, "takeover after SIGSTOP", takeover, "s", f"<= {LEASE_TTL + SLACK}")
    figure(68, "late fills refused", leader.count("refused_fills") - refused, bound=">= 1")
    loads = len(leader.loads(key)) + len(other.loads(key))
    figure(68, "loads: the leader's, and one for its lease that ended", loads, bound="== 2")
    figure(68, "others who read the late version", [other.read(key)].count("old"), bound="== 0")
    # Nothing was forgotten meanwhile, so its own L1 may keep what it has loaded, for its ttl there.
    figure(68, "reads of it by the late leader itself", [leader.read(key)].count("old"))


@pytest.mark.parametrize(("how", "words"), [("raise", "raises"), ("return", "returns None")])
def test_who_waits_for_a_loader_that_fails_or_finds_nothing_goes_on(pair, figure, how, words):
    """An error reaches all who wait in the process and is not kept; `None` is a value like any other."""
    threads = 16
    for caller in pair:
        caller.call(how, how, threads=threads, value=None)
    answers = [answer for caller in pair for answer in caller.await_answers(how, threads)]
    figure(69, f"callers stuck, loader {words}", len(pair) * threads - len(answers), bound="== 0")
    assert {answer.value for answer in answers} == {"LookupError" if how == "raise" else None}
    if how == "return":
        figure(69, f"loads, loader {words}", sum(len(caller.loads(how)) for caller in pair), bound="== 1")
    else:
        pair[0].call(how, value="mended")
        assert pair[0].await_answers(how, threads + 1)[-1].value == "mended"


def test_who_waits_for_a_loader_that_hangs_goes_on(impatient_pair, figure):
    """In its own process and in others: when their patience ends, one of them loads."""
    key = "hung"
    leader, other = impatient_pair
    leader.call(key, "hang")
    leader.await_loading(key)
    for caller in impatient_pair:
        caller.call(key, threads=8, value="mine")
    answers = leader.await_answers(key, 8) + other.await_answers(key, 8)
    assert {answer.value for answer in answers} == {"mine"}
    figure(69, "callers stuck, loader hangs", 16 - len(answers), bound="== 0")
    longest = max(answer.ended - answer.began for answer in answers)
    figure(69, "longest wait for a loader that hangs", longest, "s", f"<= {2 * PATIENCE + LEASE_TTL + SLACK}")


def test_a_loader_that_asks_for_its_own_key_does_not_wait_for_itself(pair, figure):
    """Not in this process, and not for the lease that its own process holds at the authority."""
    key = "itself"
    pair[0].call(key, "ask", value=key)
    (answer,) = pair[0].await_answers(key, 1)
    assert answer.value == "inner"
    figure(75, "own key asked for within its load", answer.ended - answer.began, "s", f"<= {LEASE_TTL / 2}")


def test_loaders_that_ask_for_each_others_keys_end(impatient_pair, figure):
    """Two threads, and two processes, each loading what the other waits for."""
    here, there = impatient_pair
    here.call("a", "ask", value="b")
    here.call("b", "ask", value="a")
    here.call("c", "ask", value="d")
    there.call("d", "ask", value="c")
    answers = [each for key in "abc" for each in here.await_answers(key, 1)] + there.await_answers("d", 1)
    longest = max(answer.ended - answer.began for answer in answers)
    figure(75, "loaders that wait for each other", longest, "s", f"<= {2 * PATIENCE + LEASE_TTL + SLACK}")
