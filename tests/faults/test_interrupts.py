"""Whatever cuts a call short, wherever it is: no read takes another key's reply, and no pool shrinks."""

import collections
import concurrent.futures
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import NamedTuple

import pytest

from tests.faults.interrupted_client import fill

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3_000)]

FOLDER = pathlib.Path(__file__).parent
ROOT = FOLDER.parents[1]
LONG, SHORTEST = (78_000, 8_000, 300), (1_000, 100, 5)
"""Reads and interrupts at least, and seconds at most, of a script; it takes some 15 s of an idle machine."""
HUNG = 45.0
"""Seconds beyond its time after which a script counts as hung."""


class Way(NamedTuple):
    """How calls are cut short: by which script, what it is called there, and in what scenario."""

    scenario: str
    script: str
    name: str
    needs: str = ""
    topologies: tuple = ("plain", "sentinel", "cluster")
    parser: str = "auto"


WAYS = [
    Way("1", "gevent_interrupts", "timeout", needs="gevent"),
    Way("2", "gevent_interrupts", "kill", needs="gevent"),
    Way("3", "thread_interrupts", "signal", parser="python"),
    Way("4", "thread_interrupts", "thrown"),
    Way("5", "task_interrupts", "cancel", topologies=("plain",)),
    Way("6", "thread_interrupts", "handshake", topologies=("plain",)),
    Way("13", "thread_interrupts", "signal", needs="hiredis", topologies=("plain",), parser="hiredis"),
]
SHORT = {"plain": WAYS, "sentinel": WAYS[:1], "cluster": WAYS[2:3]}
"""What of this a short run does; scenario 1 is about Sentinel, which is where stock redis-py fails."""


def run(way, client, url, *limits):
    """Run a script in a process of its own, and return what it has counted, or how it has died."""
    if way.needs:
        pytest.importorskip(way.needs)
    command = [sys.executable, "-W", "ignore", FOLDER / f"{way.script}.py", client, url, way.name, way.parser]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            [*command, *map(str, limits)],
            env=environment, capture_output=True, text=True, check=False, timeout=limits[-1] + HUNG,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"died": "being killed, since it hung"}
    if done.returncode:
        return {"died": _cause_of(done.returncode), "said": done.stderr[-2_000:]}
    return json.loads(done.stdout)


def _cause_of(code):
    return signal.Signals(-code).name if code < 0 else f"code {code}"


@pytest.fixture
def urls(request):
    """The addresses of servers of each kind, started when they are asked for, with a value under each key."""

    @functools.cache
    def url_of(topology):
        fixture = "redis_url" if topology == "plain" else f"redis_{topology}_url"
        url = request.getfixturevalue(fixture)
        fill(url)
        return url

    return url_of


def test_no_read_takes_a_reply_of_another_key(urls, figure, is_long):
    """Through the layer below the envelope, over each topology, in threads, greenlets and tasks."""
    totals = collections.Counter()
    chosen = [
        (topology, way)
        for topology, ways in SHORT.items()
        for way in ([each for each in WAYS if topology in each.topologies] if is_long else ways)
    ]
    for topology, _ in chosen:
        urls(topology)  # in this thread

    def run_one(topology, way):
        limits = LONG if is_long and way.name != "handshake" else SHORTEST
        return run(way, "greencache", urls(topology), *limits)

    with concurrent.futures.ThreadPoolExecutor(2 if is_long else 1) as pool:
        results = list(pool.map(lambda each: run_one(*each), chosen))
    for (topology, way), counts in zip(chosen, results, strict=True):
        what = f"{topology}, {way.name}"
        assert "died" not in counts, f"{what}: {counts}"
        wrong = counts["wrong"] + counts["wrong_afterwards"]
        figure(way.scenario, f"{what}: wrong values", wrong, "reads", "== 0", **counts)
        figure(way.scenario, f"{what}: slots lost", counts["slots_lost"], "slots", "== 0")
        totals.update(counts)
    wrong = totals["wrong"] + totals["wrong_afterwards"]
    figure(
        "P1", "reads of interrupted clients", totals["reads"], "reads", f">= {10**6 if is_long else 3_000}"
    )
    figure("P1", "calls cut short", totals["interrupts"], "calls", f">= {10**5 if is_long else 500}")
    figure("P1", "wrong values", wrong, "reads", "== 0")
    figure("P1", "slots lost", totals["slots_lost"], "slots", "== 0")


def test_what_stock_redis_py_reads_then(urls, figure, is_long):
    """The same scripts, in the same scenarios; in a short run those in which it reads most wrong values."""
    topologies = {"1": "sentinel", "2": "sentinel"}
    for way in WAYS if is_long else [each for each in WAYS if each.scenario in {"1", "6"}]:
        topology = topologies.get(way.scenario, "plain")
        limits = (10_000, 1_000, 6) if is_long else (1_000, 100, 2)
        counts = run(way, "stock", urls(topology), *limits)
        name = f"stock redis-py, {topology}, {way.name}"
        if "died" in counts:
            figure(way.scenario, f"{name}: its process ended by {counts['died']}", 1, "processes", **counts)
            continue
        wrong = counts["wrong"] + counts["wrong_afterwards"]
        figure(way.scenario, f"{name}: wrong values", wrong, "reads", **counts)
        if counts["slots_lost"]:
            figure(way.scenario, f"{name}: slots lost", counts["slots_lost"], "slots")
