"""Read a Redis from threads into which exceptions are thrown at random; print what came of it as JSON.

Run by test_interrupts.py in a process of its own: an exception may hit anything, pytest included.
"""

import contextlib
import ctypes
import faulthandler
import json
import math
import os
import random
import signal
import sys
import threading
import time
import urllib.parse

from greencache.testing.proxy import TcpProxy
from tests.faults.interrupted_client import KEYS, Quota, new_reader

BYSTANDERS = 2
"""Threads that share the pool and are left in peace."""
VICTIMS = 4
LONGEST_FLIGHT = 0.1
"""Seconds after which what was thrown has come, if it comes at all."""


class Interrupt(Exception):  # noqa: N818
    """Thrown in wherever a thread is; as Celery's soft time limit does."""


def interrupt(*_):
    """Do what a signal handler may do."""
    raise Interrupt


def read_in_peace(reader, counts, quota):
    """Read one key after the other."""
    while not quota.is_done():
        counts.read(reader, random.randrange(KEYS))


def run_signals(reader, quota):
    """Read in the main thread, which a timer interrupts after 20 to 300 microseconds."""
    counts = quota.new_share()
    with alarms():
        while not quota.is_done():
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(20e-6, 300e-6))
                counts.read(reader, random.randrange(KEYS))
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupt:
                counts["interrupts"] += 1


@contextlib.contextmanager
def alarms():
    """Let SIGALRM raise in the main thread only: in all others it is blocked, as it was when they began."""
    signal.signal(signal.SIGALRM, interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    yield
    signal.signal(signal.SIGALRM, signal.SIG_IGN)


class Victim(threading.Thread):
    """Reads, and is thrown an exception now and then, one at a time.

    One that strikes where Python ignores exceptions, as in a finalizer, is never heard of again.

    Args:
        reader: What it reads from.
        quota: When it stops.
    """

    def __init__(self, reader, quota):
        super().__init__(daemon=True)
        self._reader, self._quota = reader, quota
        self._counts = quota.new_share()
        self._hit_at = -math.inf

    def run(self):
        """Read one key after the other, until all that was thrown has come."""
        while self._is_hit() or not self._quota.is_done():
            with contextlib.suppress(Interrupt):
                self._read_until_hit()

    def _read_until_hit(self):
        try:
            read_in_peace(self._reader, self._counts, self._quota)
            time.sleep(0.001)
        except Interrupt:
            self._counts["interrupts"] += 1
            self._hit_at = -math.inf

    def _is_hit(self):
        return time.monotonic() < self._hit_at + LONGEST_FLIGHT

    def hit(self):
        """Throw an exception into it, unless one is under way."""
        if not self._is_hit():
            self._hit_at = time.monotonic()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self.ident), ctypes.py_object(Interrupt)
            )


def run_thrown(reader, quota):
    """Throw exceptions into threads that read."""
    victims = [Victim(reader, quota) for _ in range(VICTIMS)]
    for victim in victims:
        victim.start()
    while not quota.is_done():
        time.sleep(random.uniform(0, 0.0006))
        for victim in random.sample(victims, 2):
            victim.hit()
    for victim in victims:
        victim.join()


def run_handshakes(reader, proxy, quota):
    """Cut the login short, again and again: its reply comes when nobody waits for it any more."""
    counts = quota.new_share()
    with alarms():
        while not quota.is_done():
            proxy.drop()
            proxy.replies.stalled = True
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.01)
                counts.read(reader, random.randrange(KEYS))
            except Interrupt:
                counts["interrupts"] += 1
            proxy.replies.stalled = False
            for _ in range(3):
                counts.read(reader, random.randrange(KEYS))


def main(client, url, way, parser, *limits):
    """Return the counts of readers that are interrupted until enough is done."""
    faulthandler.dump_traceback_later(float(limits[-1]) + 40, exit=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    quota = Quota(*limits)
    if way == "handshake":
        with TcpProxy(("127.0.0.1", urllib.parse.urlsplit(url).port)) as proxy:
            reader = new_reader(client, proxy.url_for(url), parser)
            run_handshakes(reader, proxy, quota)
            return quota.total().finish(reader)
    reader = new_reader(client, url, parser)
    reader.get("key:0")  # an exception while a thread is started is Python's own trouble
    bystanders = [
        threading.Thread(target=read_in_peace, args=(reader, quota.new_share(), quota), daemon=True)
        for _ in range(BYSTANDERS)
    ]
    for thread in bystanders:
        thread.start()
    (run_signals if way == "signal" else run_thrown)(reader, quota)
    for thread in bystanders:
        thread.join()
    return quota.total().finish(reader)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
    sys.stdout.flush()
    # Not the interpreter's own end: what has struck its threads may have left it waiting for one of them.
    os._exit(0)
