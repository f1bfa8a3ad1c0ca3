"""A process with a warm L1 forks: its children hear what is forgotten, and nobody reads anything old."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

from greencache import CacheManager
from greencache.testing import wait_until
from tests.faults.bus_client import KEY, NAMESPACE
from tests.faults.child import SPAWN, Child
from tests.faults.history import History, Op, check, read_histories
from tests.faults.interrupted_client import fill
from tests.faults.scene import MAX_STALENESS

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]

CHILDREN = 3
WRITER = 1


class Board:
    """The memory that all processes share.

    Args:
        urls: Of the caches.
        folder: Where histories are written.
    """

    def __init__(self, urls, folder):
        self.urls = urls
        self.folder = folder
        self.version = SPAWN.RawValue("q", 1)
        self.seen = SPAWN.RawArray("q", CHILDREN + 1)
        """The last version that each child, and last their parent, has read."""
        self.is_over = SPAWN.RawValue("b", 0)


def fork_and_read(pipe, board):
    """Warm L1, fork while other threads read, and read in all processes until it is over."""
    cache = CacheManager.from_urls(**board.urls, namespace=NAMESPACE).initialize(strict=True)
    for _ in range(2):
        threading.Thread(target=read_on, args=(cache, board, None, 0), daemon=True).start()
    wait_until(lambda: cache.get_stats()["L1"].hits > 100, reason="L1 is warm")
    children = [fork_reader(cache, board, index) for index in range(CHILDREN)]
    pipe.send("forked")
    read_on(cache, board, CHILDREN, WRITER + CHILDREN + 1)
    pipe.send([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])


def fork_reader(cache, board, index):
    """Fork a child that reads, and return its number."""
    child = os.fork()
    if child == 0:
        try:
            read_on(cache, board, index, WRITER + index + 1)
        finally:
            # Not the end of the interpreter, which belongs to the parent.
            os._exit(0 if board.seen[index] else 1)
    return child


def read_on(cache, board, index, process):
    """Read until it is over; write it down, unless it is only to make work."""
    history = None if index is None else History(board.folder, process)
    while not board.is_over.value:
        start = time.monotonic()
        version = cache.get_or_load(KEY, lambda: board.version.value)
        if history is not None:
            history.note(Op.READ, 0, version, start)
            board.seen[index] = version
        # The time that callers think: a closed loop of hits would leave the writer no processor.
        time.sleep(0.0005)


def test_forked_children_read_nothing_old(redis_servers, tmp_path, figure, is_long):
    """Each has a listener of its own, which forgets what the parent has left in its L1."""
    l2, l3 = redis_servers().url, redis_servers().url
    board = Board({"l2": l2, "l3": l3}, str(tmp_path))
    parent = Child(fork_and_read, board).await_ready()
    with (
        contextlib.closing(History(tmp_path, WRITER)) as history,
        CacheManager.from_urls(l3=l3, namespace=NAMESPACE) as cache,
    ):
        cache.initialize(strict=True)
        for _ in range(100 if is_long else 15):
            board.version.value += 1
            version, start = board.version.value, time.monotonic()
            cache.invalidate(KEY)
            history.note(Op.DROP, 0, version, start)
            wait_until(lambda version=version: min(board.seen) >= version, reason="all read the new version")
    board.is_over.value = 1
    codes = parent.hear()
    verdict = check(read_histories(tmp_path), MAX_STALENESS)
    figure(64, "reads of forked children and their parent", verdict.counts["read"])
    figure(
        64,
        "stale reads past the bound",
        len(verdict.others),
        bound="== 0",
        slowest=max(verdict.ages, default=0),
    )
    figure(64, "reads that went back in their process", len(verdict.back), bound="== 0")
    assert codes == [0] * CHILDREN


@pytest.mark.timeout(330)
@pytest.mark.parametrize("client", ["greencache", "stock"])
def test_children_and_their_parent_read_their_own_values(redis_url, figure, is_long, client):
    """Many forks while threads of the parent read; nobody does anything for it."""
    fill(redis_url)
    forks = {"greencache": 1_000, "stock": 200}[client] if is_long else 30
    script = pathlib.Path(__file__).with_name("fork_reads.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, client, redis_url, str(forks)],
        env=os.environ | {"PYTHONPATH": str(script.parents[2])},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    counts = json.loads(done.stdout)
    if client == "stock":
        figure("P13", "stock redis-py: wrong values", counts["wrong"], "reads", **counts)
        return
    figure("P13", "forks under load", counts["forks"], "forks", f">= {forks}")
    figure("P13", "wrong values in children and parent", counts["wrong"], "reads", "== 0", **counts)
    figure("P13", "children that hung or could not read", counts["hung"] + counts["read_nothing"], "", "== 0")
