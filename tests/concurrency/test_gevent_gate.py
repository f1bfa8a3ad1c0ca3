"""Places for loads under gevent."""

import pathlib
import subprocess
import sys

import pytest


def test_no_place_is_lost_when_greenlets_are_cut_off():
    """A time-out may come while a greenlet waits for a place, holds one, or gives it back."""
    pytest.importorskip("gevent", reason="gevent is not installed; the test extra has it")
    script = pathlib.Path(__file__).with_name("gevent_gate.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=90, check=False)
    assert done.stdout.strip() == "fine", done.stdout + done.stderr
