"""Read a Redis from many greenlets, some of which are cut off; print what came of it as JSON.

Run by test_redis_gevent.py in a process of its own, because monkey patching has no way back.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402 -- everything after the patch
import random  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402

from greencache.backends.redis import RedisManager  # noqa: E402
from greencache.backends.redis_connection import GuardedConnection  # noqa: E402
from greencache.backends.redis_socket import DeadlineSocket  # noqa: E402

GREENLETS, READS, KEYS = 20, 200, 500


def take_the_guard_out() -> None:
    """Use dirty connections again: the control that shows that this script would notice."""
    GuardedConnection.is_dirty = property(lambda _: False, lambda *_: None)  # type: ignore[assignment]
    GuardedConnection.is_stale = property(lambda _: False)  # type: ignore[assignment]


def let_others_run_after_each_command() -> None:
    """Give every call a moment to be cut off in: on a busy machine the reply is often there at once."""
    sendall = DeadlineSocket.sendall

    def send_and_wait(sock: DeadlineSocket, data: bytes) -> None:
        sendall(sock, data)
        gevent.sleep(0)

    DeadlineSocket.sendall = send_and_wait  # type: ignore[method-assign]


def main(url: str, parser: str) -> dict[str, int]:
    """Return counts of reads, of wrong values, of cut-off calls, of slots taken and of slots idle."""
    counts = {"reads": 0, "wrong": 0, "cut": 0}
    manager = RedisManager(url, parser=parser, max_connections=GREENLETS)
    manager.execute_many([("SET", f"key:{number}", f"value:{number}") for number in range(KEYS)])

    def read(chance: random.Random) -> None:
        for _ in range(READS):
            number = chance.randrange(KEYS)
            limit = chance.uniform(0, 0.0005) if chance.random() < 0.05 else 10
            try:
                with gevent.Timeout(limit):
                    value = manager.execute("GET", f"key:{number}")
            except gevent.Timeout:
                counts["cut"] += 1
                continue
            counts["reads"] += 1
            counts["wrong"] += value != f"value:{number}".encode()

    def kill(readers: list[gevent.Greenlet], chance: random.Random) -> None:
        for _ in range(10):
            gevent.sleep(0.01)
            victim = chance.randrange(len(readers))
            readers[victim].kill(block=False)
            readers.append(gevent.spawn(read, random.Random(chance.random())))

    readers = [gevent.spawn(read, random.Random(seed)) for seed in range(GREENLETS)]
    killer = gevent.spawn(kill, readers, random.Random(1))
    killer.join()
    gevent.joinall(readers)
    for number in range(KEYS):
        counts["wrong"] += manager.execute("GET", f"key:{number}") != f"value:{number}".encode()
    pools = manager.pools
    return counts | {"slots": sum(map(len, pools)), "idle": sum(len(pool._idle) for pool in pools)}


if __name__ == "__main__":
    let_others_run_after_each_command()
    if "unguarded" in sys.argv:
        take_the_guard_out()
    sys.stdout.write(json.dumps(main(*sys.argv[1:3])))
