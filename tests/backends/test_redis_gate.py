"""Who may ask where servers are, and who waits."""

import threading

import pytest

from greencache.backends.redis_gate import QuestionGate
from greencache.testing import FakeClock, wait_until

LATER = 1e9
"""A deadline that no clock here reaches."""


class CutShortError(BaseException):
    """As `GreenletExit` is, or what a signal handler raises."""


def cut_short():
    """Do not come to an end."""
    raise CutShortError


@pytest.fixture
def clock():
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def gate(clock):
    """A gate that nobody has passed."""
    return QuestionGate(clock)


def test_one_is_let_through_and_the_next_a_second_later(gate, clock):
    """And all who come in between are not."""
    asked = []
    assert gate.ask(lambda: asked.append(1))
    assert not gate.ask(lambda: asked.append(2))
    clock.advance(1.2)
    assert gate.ask(lambda: asked.append(3))
    assert asked == [1, 3]


def test_a_round_that_was_cut_short_does_not_count(gate):
    """Its greenlet was killed: nobody has been told anything."""
    with pytest.raises(CutShortError):
        gate.ask(cut_short)
    asked = []
    assert gate.ask(lambda: asked.append(1))
    assert asked == [1]


def test_whoever_waits_asks_in_place_of_one_who_was_cut_short(gate):
    """At first, when nothing is known: else all of them would fail, and the server pass for down."""
    has_begun, may_end, known = threading.Event(), threading.Event(), []

    def be_killed():
        has_begun.set()
        may_end.wait(30)
        raise CutShortError

    def ask_first():
        with pytest.raises(CutShortError):
            gate.ask(be_killed)

    def ask_or_wait():
        gate.ask_or_wait(lambda: known.append("here"), LATER, is_known=lambda: bool(known))

    first = threading.Thread(target=ask_first)
    first.start()
    assert has_begun.wait(30)
    others = [threading.Thread(target=ask_or_wait) for _ in range(4)]
    for thread in others:
        thread.start()
    may_end.set()
    for thread in [first, *others]:
        thread.join(30)
    wait_until(lambda: known == ["here"], reason="exactly one of them has asked")


def test_nobody_waits_for_an_answer_that_is_known(gate):
    """Or asks before it is time."""
    gate.ask(lambda: None)
    gate.ask_or_wait(cut_short, LATER, is_known=lambda: True)


def test_a_round_in_vain_is_an_answer_too(gate):
    """Whoever waited for it does not ask the same once more."""
    gate.ask(lambda: None)
    gate.ask_or_wait(cut_short, LATER, is_known=lambda: False)


def test_who_gets_no_answer_in_time_has_more_patience_next_time(gate, clock):
    """Up to a limit, and only until somebody answers: else no slow handshake would ever come to its end."""
    seen = []
    for has_answer in (False, False, False, False, True, False):
        gate.ask(lambda: seen.append((gate.patience, gate.end_of_round(LATER) - clock.now())) or has_answer)  # noqa: B023
        clock.advance(5.0)
    assert [patience for patience, _ in seen] == pytest.approx([0.3, 0.6, 1.2, 2.4, 2.4, 0.3])
    assert [end for _, end in seen] == pytest.approx([1.0, 2.0, 4.0, 8.0, 8.0, 1.0])
    assert gate.end_of_round(clock.now() + 0.1) == pytest.approx(clock.now() + 0.1)
