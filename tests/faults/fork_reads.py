"""Fork again and again while threads read, and read in each child; print what came of it as JSON.

Run by test_forks.py in a process of its own.
"""

import json
import os
import random
import sys
import threading
import time

from tests.faults.interrupted_client import KEYS, Quota, new_reader

AT_ONCE = 8
READS_OF_CHILD = 20
LONGEST_CHILD = 20.0


def read_as_child(reader):
    """Read some keys with what was inherited, and end with the number of wrong ones."""
    counts = Quota(0, 0, 0).new_share()
    for _ in range(READS_OF_CHILD):
        counts.read(reader, random.randrange(KEYS))
    # Not the end of the interpreter, which belongs to the parent.
    os._exit(min(100, counts["wrong"]) + 100 * (counts["reads"] == 0))


def reap(children, most):
    """Wait until no more than some children are left; return the exit codes of the others."""
    codes = []
    while len(children) > most:
        for child, began in list(children.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                codes.append(os.waitstatus_to_exitcode(status))
            elif time.monotonic() > began + LONGEST_CHILD:
                os.kill(child, 9)
                os.waitpid(child, 0)
                codes.append(None)
            if ended or codes[-1:] == [None]:
                children.pop(child, None)
        time.sleep(0.002)
    return codes


def main(client, url, forks):
    """Return how many reads were wrong, here and in children, and how many of these hung or read nothing."""
    reader, quota = new_reader(client, url), Quota(10**12, 0, 600)
    over = threading.Event()

    def read():
        counts = quota.new_share()
        while not over.is_set():
            counts.read(reader, random.randrange(KEYS))
            time.sleep(0.0005)

    threads = [threading.Thread(target=read, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    children, codes = {}, []
    for _ in range(int(forks)):
        child = os.fork()
        if child == 0:
            read_as_child(reader)
        children[child] = time.monotonic()
        codes += reap(children, AT_ONCE)
    codes += reap(children, 0)
    over.set()
    for thread in threads:
        thread.join()
    total = quota.total()
    return {
        "forks": len(codes),
        "reads": total["reads"] + READS_OF_CHILD * len(codes),
        "wrong": total["wrong"] + sum(code % 100 for code in codes if code),
        "hung": codes.count(None),
        "read_nothing": sum(code is not None and code >= 100 for code in codes),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
