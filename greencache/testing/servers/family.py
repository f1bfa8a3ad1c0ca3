"""Processes of this machine by id: their state, their children, stopping all of a family."""

import contextlib
import os
import pathlib
import signal
import subprocess
from collections.abc import Iterator

from greencache.testing.waiting import wait_until

__all__ = ["children_of", "is_running", "kill_family", "pause_family", "resume_family", "state_of"]

_PROC = pathlib.Path("/proc")


def kill_family(pid: int) -> None:
    """Kill a process and its children at once; returns when the children are gone.

    Args:
        pid: The parent. Its own end is for its starter to collect.
    """
    # Stopped first: what cannot run cannot start further children while the list is made.
    _send(pid, signal.SIGSTOP)
    children = children_of(pid)
    for each in (pid, *children):
        _send(each, signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, children)), reason=f"the children of {pid} are gone")


def pause_family(pid: int) -> tuple[int, ...]:
    """Freeze a process and its children; returns their ids when they stand still."""
    _send(pid, signal.SIGSTOP)
    children = children_of(pid)
    for each in children:
        _send(each, signal.SIGSTOP)
    family = (pid, *children)
    wait_until(lambda: all(state_of(each) in "TtZX" for each in family), reason=f"{pid} stands still")
    return family


def resume_family(pid: int) -> None:
    """Let a frozen process and its children run on."""
    for each in (*children_of(pid), pid):
        _send(each, signal.SIGCONT)


def is_running(pid: int) -> bool:
    """Say whether a process exists and is more than a zombie that nobody has collected."""
    return state_of(pid) not in "ZX"


def state_of(pid: int) -> str:
    """Return the state letter of a process as `ps` prints it; `X` when there is none."""
    if _has_proc():
        entry = _entry_of(_PROC / str(pid))
        return entry[2] if entry is not None else "X"
    return next((state for each, _, state in _table_of_ps() if each == pid), "X")


def children_of(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started itself."""
    return [each for each, parent, _ in _table() if parent == pid]


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # gone already is as good
        os.kill(pid, number)


def _table() -> Iterator[tuple[int, int, str]]:
    """Yield (pid, parent, state) of every process."""
    if not _has_proc():
        yield from _table_of_ps()
        return
    for folder in _PROC.iterdir():
        if folder.name.isdecimal() and (entry := _entry_of(folder)) is not None:
            yield entry


def _has_proc() -> bool:
    return (_PROC / "self" / "stat").exists()


def _entry_of(folder: pathlib.Path) -> tuple[int, int, str] | None:
    try:
        # The name in parentheses may hold anything, parentheses and spaces too.
        state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
    except OSError:
        return None  # it has ended
    return int(folder.name), int(parent), state


def _table_of_ps() -> Iterator[tuple[int, int, str]]:
    answer = subprocess.run(["ps", "-axo", "pid=,ppid=,state="], capture_output=True, text=True, check=True)  # noqa: S607
    for line in answer.stdout.splitlines():
        pid, parent, state = line.split()[:3]
        yield int(pid), int(parent), state[0]
