"""A gevent hub goes on while greenlets wait for a cache."""

import json
import pathlib
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(150)]


def run_script(when, process, *urls):
    """Run the script in a process of its own and return what it prints."""
    pytest.importorskip("gevent", reason="gevent is not installed; the test extra has it")
    script = pathlib.Path(__file__).with_name("gevent_hub.py")
    command = [sys.executable, "-W", "ignore", script, when, str(process), *urls]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_hub_is_not_kept_from_running_others(redis_servers, postgres_url, figure):
    """Not by loads, hits in deeper tiers, invalidations, nor by a server that hangs."""
    l2, l3 = redis_servers(), redis_servers()
    figures = run_script("early", l3.pid, l2.url, l3.url, postgres_url)
    assert figures.pop("control") >= 20, "a hub that stood still was not noticed"
    for phase, blocked in figures.items():
        figure("P14", f"hub kept from others: {phase}", blocked, "ms", "<= 10")


def test_a_patch_that_comes_after_the_first_use_is_refused(redis_servers, figure):
    """Not silently harmful: whatever goes beyond L1 says what to do."""
    l2, l3 = redis_servers(), redis_servers()
    told = run_script("late", l3.pid, l2.url, l3.url)
    assert "patch_all" in told["refused"]
    figure("P14", "patched after first use: refused", int(bool(told["refused"])), bound="== 1")
    assert told["serves_l1"]
