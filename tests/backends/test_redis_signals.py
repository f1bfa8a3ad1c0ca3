"""No reply is ever taken for another's, wherever a signal handler raises."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers on this system")

SCRIPT = pathlib.Path(__file__).with_name("signal_reads.py")
ROOT = pathlib.Path(__file__).parents[2]


def test_no_thread_reads_a_value_of_another_key_and_no_slot_is_lost(redis_url, parser):
    """A timer's signal raises in the main thread thousands of times, while another thread shares the pool."""
    done = subprocess.run(
        [sys.executable, SCRIPT, redis_url, parser],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["wrong"] == 0
    assert counts["reads"] > 1_000
    assert counts["interrupts"] > 100
    assert counts["slots"] == 4
