"""Greenlets share flights and connections as threads do."""

import pathlib
import subprocess
import sys

import pytest


def test_a_cache_works_under_gevent(fleet):
    """One load for fifty greenlets, right values under time-outs, and a hub that goes on."""
    pytest.importorskip("gevent", reason="gevent is not installed; the test extra has it")
    script = pathlib.Path(__file__).with_name("gevent_cache.py")
    done = subprocess.run(
        [sys.executable, script, fleet.l2, fleet.l3], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.stdout.strip() == "fine", done.stdout + done.stderr
