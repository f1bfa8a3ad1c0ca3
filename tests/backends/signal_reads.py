"""Read a Redis from threads while a timer's signal raises in the main one; print what came of it as JSON.

Run by test_redis_signals.py in a process of its own: a signal may hit anything, pytest included.
"""

import json
import random
import signal
import sys
import threading
import time
from typing import Any

from greencache.backends.redis import RedisManager

KEYS, THREADS, CONNECTIONS = 500, 1, 4
SECONDS, LONGEST = 2.0, 60.0
"""How long it goes on at least, and until there was enough of it, on a busy machine."""
READS, INTERRUPTS = 1_000, 100


class Interrupt(Exception):  # noqa: N818
    """Raised by the signal, wherever the main thread is; as Celery's soft time limit does."""


def main(url: str, parser: str) -> dict[str, Any]:
    """Return counts of reads, of wrong values, of interrupts, and of slots that can still be had."""
    counts = {"reads": 0, "wrong": 0, "interrupts": 0}
    manager = RedisManager(url, parser=parser, max_connections=CONNECTIONS, deadline=2)
    manager.execute_many([("SET", f"key:{number}", f"value:{number}") for number in range(KEYS)])
    began = time.monotonic()

    def goes_on() -> bool:
        elapsed = time.monotonic() - began
        is_enough = counts["reads"] > READS and counts["interrupts"] > INTERRUPTS
        return elapsed < SECONDS or (elapsed < LONGEST and not is_enough)

    def read() -> None:
        while goes_on():
            number = random.randrange(KEYS)
            counts["wrong"] += manager.execute("GET", f"key:{number}") != f"value:{number}".encode()
            counts["reads"] += 1

    def interrupt(*_: Any) -> None:
        raise Interrupt

    threads = [threading.Thread(target=read) for _ in range(THREADS)]
    # A thread inherits what is blocked: signals come to the main thread and cut its system calls short.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    for thread in threads:
        thread.start()
    signal.signal(signal.SIGALRM, interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    while goes_on():
        number = random.randrange(KEYS)
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(20e-6, 300e-6))
            value = manager.execute("GET", f"key:{number}")
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupt:
            counts["interrupts"] += 1
            continue
        counts["reads"] += 1
        counts["wrong"] += value != f"value:{number}".encode()
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    for thread in threads:
        thread.join()
    for number in range(KEYS):
        counts["wrong"] += manager.execute("GET", f"key:{number}") != f"value:{number}".encode()
    # All slots at once: none was lost.
    had = [manager.pools[0].acquire(time.monotonic() + 1) for _ in range(CONNECTIONS)]
    return counts | {"slots": len(had), "live": len(manager.pools[0])}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
