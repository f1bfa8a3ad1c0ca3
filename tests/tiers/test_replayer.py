"""Who replays though nobody asks."""

import threading

import pytest

from greencache.testing import wait_until
from greencache.tiers.replayer import Replayer


def test_it_replays_until_nothing_is_left():
    """Then it ends, and can be woken again."""
    answers, calls = [False, False], []
    replayer = Replayer(lambda: calls.append(1) or (answers.pop(0) if answers else True), pause=0.01)
    for _ in range(2):
        replayer.wake()
        wait_until(lambda: not answers and not replayer._is_running, reason="it has ended")
        # Once more at the end, for what came between the last look and the end.
        wait_until(lambda: len(calls) == 4, reason="it has looked once more")
        calls[:] = [1, 1]


def test_it_need_not_wait_for_a_tier_that_is_there():
    """Nor when it has begun to wait."""
    called = threading.Event()
    replayer = Replayer(lambda: called.set() or True, pause=3600)
    replayer.wake()
    assert not called.is_set()
    replayer.wake(at_once=True)
    assert called.wait(30)
    replayer.close()


def test_closed_it_stays_quiet():
    """Before and after it was woken."""
    calls = []
    replayer = Replayer(lambda: calls.append(1) or True, pause=3600)
    replayer.wake()
    replayer.close()
    replayer.wake(at_once=True)
    wait_until(lambda: not replayer._is_running, reason="its thread has ended")
    assert calls == []


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_it_begins_when_there_is_a_thread_to_be_had_again(monkeypatch, error):
    """The system may have none for now, and no memory for one."""

    def refuse(_):
        raise error("can't start new thread")

    called = threading.Event()
    replayer = Replayer(lambda: called.set() or True, pause=0.01)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        replayer.wake()
    replayer.wake()
    assert called.wait(30)
    replayer.close()
