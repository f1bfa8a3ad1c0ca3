"""A server must not outlive who started it, however that one ends."""

import subprocess

from greencache.forks import after_fork_in_child

__all__ = ["Lifeline"]

_SCRIPT = """\
read -r _ && exit 0
[ -f "$3/paused" ] && kill -s CONT $(cat "$3/paused") 2>/dev/null
kill -s "$2" "$1" 2>/dev/null
tries=0
while kill -s 0 "$1" 2>/dev/null && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
kill -s KILL "$1" 2>/dev/null
rm -rf "$3"
"""


class Lifeline:
    """A shell that waits at the other end of a pipe and stops the server when the pipe breaks.

    An exit handler does not run after SIGKILL, SIGTERM or a crash; Linux's PR_SET_PDEATHSIG fires when the
    *thread* that started the server ends, and macOS has none. A pipe breaks when its process ends, always.

    Args:
        pid: The server.
        signal_name: What stops it in good order: "TERM".
        folder: What to remove after it. A file `paused` in it lists who is frozen and could not end.
    """

    def __init__(self, pid: int, signal_name: str, folder: str) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "lifeline", str(pid), signal_name, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            start_new_session=True,  # Ctrl-C in a terminal is for the starter to act upon
        )
        after_fork_in_child(self._let_go)

    def release(self) -> None:
        """End the watch: the server was stopped, and its process id may soon be somebody else's."""
        self._shell.communicate(b"released\n")

    def _let_go(self) -> None:
        # A forked worker must not hold the pipe open: the servers are its parent's.
        if self._shell.stdin is not None:
            self._shell.stdin.close()
