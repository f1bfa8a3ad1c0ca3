"""No reply is ever taken for another's, whatever kills greenlets."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("gevent")

SCRIPT = pathlib.Path(__file__).with_name("gevent_reads.py")
ROOT = pathlib.Path(__file__).parents[2]


def run(*arguments):
    """Run the script in a process of its own."""
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(params=["redis_url", "redis_sentinel_url", "redis_cluster_url"])
def url(request):
    """Each topology, empty."""
    return request.getfixturevalue(request.param)


def test_no_greenlet_reads_a_value_of_another_key(url, parser):
    """20 greenlets, 5 % of their calls cut off by a `gevent.Timeout`, and now and then one is killed."""
    counts = run(url, parser)
    assert counts["wrong"] == 0
    assert counts["reads"] > 2_000
    assert counts["cut"] > 0
    assert counts["slots"] == counts["idle"], "no slot was lost"


def test_without_the_guard_they_do(redis_url):
    """The control: this very load takes replies for others' when dirty connections are used again."""
    assert run(redis_url, "python", "unguarded")["wrong"] > 0
