"""A Redis read from while calls are cut short: through greencache's manager, or through stock redis-py."""

import gc
import random
import time

import redis

from greencache.backends.redis import RedisManager
from tests.faults.stock_readers import stock_client

__all__ = ["KEYS", "Counts", "Quota", "fill", "new_reader"]

KEYS = 500
CONNECTIONS = 24


class Quota:
    """Says when a run has done enough: so many reads and interrupts, or so many seconds.

    Args:
        reads: At least.
        interrupts: At least.
        seconds: At most.
    """

    def __init__(self, reads, interrupts, seconds):
        self._least = {"reads": int(reads), "interrupts": int(interrupts)}
        self._end = time.monotonic() + float(seconds)
        self.shares = []
        """The counts of each thread."""

    def new_share(self):
        """Return the counts of one more thread."""
        self.shares.append(Counts())
        return self.shares[-1]

    def is_done(self):
        """Whether all that was wanted has been done, or the time is over."""
        return time.monotonic() >= self._end or all(
            sum(share[name] for share in self.shares) >= least for name, least in self._least.items()
        )

    def total(self):
        """Return the counts of all threads together."""
        total = Counts()
        for share in self.shares:
            for name, count in share.items():
                total[name] += count
        return total


class Counts(dict):
    """What came of a run; printed as JSON by the scripts that make one."""

    def __init__(self):
        super().__init__(reads=0, wrong=0, interrupts=0, errors=0, wrong_afterwards=0, slots_lost=0)

    def read(self, reader, number):
        """Read a key and judge what came; whatever interrupts it is the caller's business."""
        try:
            value = reader.get(f"key:{number}")
        except (redis.RedisError, OSError, ValueError, IndexError):
            # What a client raises by itself is its affair: this counts wrong values, not failures.
            self["errors"] += 1
            return
        self["reads"] += 1
        self["wrong"] += value != f"value:{number}".encode()

    def finish(self, reader):
        """Read keys in peace, and count the slots that nobody will give back."""
        quiet = Counts()
        for _ in range(200):
            quiet.read(reader, random.randrange(KEYS))
        self["wrong_afterwards"] = quiet["wrong"]
        self["errors_afterwards"] = quiet["errors"]
        self["slots_lost"] = reader.slots_lost()
        return self


class _Greencache:
    """The layer below the envelope, which would notice a foreign value and call it a miss."""

    def __init__(self, url, parser):
        self.manager = RedisManager(url, parser=parser, max_connections=CONNECTIONS, deadline=2)
        self.get = lambda key: self.manager.execute("GET", key)

    def slots_lost(self):
        gc.collect()
        return sum(len(pool) - len(pool._idle) for pool in self.manager.pools)


class _Stock:
    """redis-py with its defaults."""

    def __init__(self, url, parser):
        if parser == "python":
            _hide_hiredis()
        self.client = stock_client(url, max_connections=CONNECTIONS)
        self.get = self.client.get

    def slots_lost(self):
        gc.collect()
        pool = getattr(self.client, "connection_pool", None)
        return len(pool._in_use_connections) if pool is not None else 0


def _hide_hiredis():
    connection = redis.connection
    connection.HIREDIS_AVAILABLE, connection.DefaultParser = False, connection._RESP2Parser


def new_reader(client, url, parser="auto"):
    """Return what has `get` and `slots_lost`: "greencache" or "stock"."""
    return {"greencache": _Greencache, "stock": _Stock}[client](url, parser)


def fill(url):
    """Store a value under each key that is read."""
    with RedisManager(url) as manager:
        manager.execute_many([("SET", f"key:{number}", f"value:{number}") for number in range(KEYS)])
