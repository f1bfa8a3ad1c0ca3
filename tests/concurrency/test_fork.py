"""A forked child works without being told that it was forked."""

import os
import sys
import traceback

import pytest

from greencache import MISSING
from greencache.testing import wait_until

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def in_child(work):
    """Run work in a forked child and return the child's exit code: 0 if nothing was raised."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            # Not `sys.exit`: the test run belongs to the parent.
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_reads_writes_and_hears_others(deep_fleet):
    """It shares no socket with its parent, and its L1 does not grow stale for want of a listener."""
    cache, other = deep_fleet.cache(), deep_fleet.elsewhere()
    cache.mset({f"k{number}": number for number in range(50)})
    assert cache.get("k1") == 1

    def work():
        assert cache.mget([f"k{number}" for number in range(50)]) == {f"k{n}": n for n in range(50)}
        cache.set("from the child", 1)
        other.invalidate("k1")
        wait_until(lambda: cache.get("k1", MISSING) is MISSING, reason="the child hears of the drop")

    assert in_child(work) == 0
    assert cache.get("from the child") == 1
    assert cache.get("k2") == 2
    wait_until(lambda: cache.get("k1", MISSING) is MISSING, reason="the parent hears of it too")


def test_children_and_parent_read_their_own_replies(deep_fleet):
    """Several children at once, with the parent reading meanwhile: nobody gets another's value."""
    cache = deep_fleet.cache(l1=None)
    keys = [f"k{number}" for number in range(40)]
    cache.mset({key: key * 20 for key in keys})

    def work():
        for _ in range(5):
            for key in keys:
                assert cache.get(key) == key * 20

    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            try:
                work()
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        children.append(child)
    work()
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
