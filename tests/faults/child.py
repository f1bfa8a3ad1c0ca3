"""A process that a test talks to, stops, continues and kills."""

import multiprocessing
import os
import resource
import signal
import time

from greencache.testing import wait_until

__all__ = ["SPAWN", "Child", "peak_memory"]

SPAWN = multiprocessing.get_context("spawn")

_LONGEST_ANSWER = 60.0


class Child:
    """The parent's end of a process.

    Args:
        work: What it does; called there with its end of the pipe and the other arguments. Says something
            when it is ready.
        arguments: For `work`.
    """

    def __init__(self, work, *arguments):
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=work, args=(theirs, *arguments), daemon=True)
        self._process.start()
        # Its death is then the end of the pipe.
        theirs.close()
        self.is_ready = False

    def await_ready(self):
        """Wait until it is ready, and return it."""
        if not self.is_ready:
            self.hear()
            self.is_ready = True
        return self

    def ask(self, *question):
        """Say something and return the answer."""
        self.await_ready()
        self._pipe.send(question)
        return self.hear()

    def hear(self):
        """Return what it says next."""
        assert self._pipe.poll(_LONGEST_ANSWER), f"the child has said nothing for {_LONGEST_ANSWER:g} s"
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join(10)
            raise AssertionError(f"the child has ended with code {self._process.exitcode}") from None

    def pause(self):
        """Stop it, wherever its threads are."""
        os.kill(self._process.pid, signal.SIGSTOP)
        # Sending a signal is not yet stopping.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self):
        """Let it go on, and return when, in seconds of the machine's monotonic clock."""
        now = time.monotonic()
        os.kill(self._process.pid, signal.SIGCONT)
        return now

    def kill(self):
        """End it at once, and return when it was dead."""
        self._process.kill()
        self._process.join(10)
        return time.monotonic()

    def await_end(self, deadline=30):
        """Wait until it has ended by itself, and return its exit code."""
        wait_until(lambda: self._process.exitcode is not None, deadline=deadline, reason="the child ends")
        return self._process.exitcode


def peak_memory():
    """Return the most bytes of memory that this process has held so far."""
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib * (1 if os.uname().sysname == "Darwin" else 1024)
