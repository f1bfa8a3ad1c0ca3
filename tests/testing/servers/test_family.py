"""Promises about processes and their children."""

import os
import shutil
import subprocess

import pytest

from greencache.testing import wait_until
from greencache.testing.servers import family

needs_ps = pytest.mark.skipif(
    shutil.which("ps") is None, reason="needs the ps command, where there is no /proc"
)


@pytest.fixture(params=["proc", pytest.param("ps", marks=needs_ps)])
def listing(request, monkeypatch, tmp_path):
    """List processes by /proc and, as on macOS, by ps."""
    if request.param == "ps":
        monkeypatch.setattr(family, "_PROC", tmp_path)


@pytest.fixture
def parent():
    """A shell with a child of its own."""
    with subprocess.Popen(["/bin/sh", "-c", "sleep 60 & wait"]) as shell:
        wait_until(lambda: family.children_of(shell.pid), reason="the shell has a child")
        yield shell
        family.kill_family(shell.pid)


@pytest.mark.usefixtures("listing")
def test_a_family_stands_still_and_goes_on(parent):
    """All of it, each time."""
    ids = family.pause_family(parent.pid)
    assert ids == (parent.pid, *family.children_of(parent.pid))
    assert {family.state_of(pid) for pid in ids} == {"T"}
    family.resume_family(parent.pid)
    wait_until(lambda: {family.state_of(pid) for pid in ids} == {"S"}, reason="all go on")


@pytest.mark.usefixtures("listing")
def test_a_family_is_killed_whole(parent):
    """When it returns, no child is left."""
    (child,) = family.children_of(parent.pid)
    family.kill_family(parent.pid)
    assert not family.is_running(child)
    assert parent.wait(5) == -9


@pytest.mark.usefixtures("listing")
def test_a_zombie_and_a_stranger_do_not_run():
    """What waits only to be collected is gone for all purposes."""
    with subprocess.Popen(["/bin/true"]) as child:
        wait_until(lambda: not family.is_running(child.pid), reason="it has ended")
    assert family.state_of(child.pid) == "X"
    assert family.is_running(os.getpid())
    family.kill_family(child.pid)
