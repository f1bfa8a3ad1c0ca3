"""What the processes of a storm share: the plan, the keys, and memory without locks.

The source of truth is a version number a key. Each key has one writer, who moves its version on and then
tells the cache, so that versions are forgotten in order. Nothing here is a lock or a queue: whoever is killed
while it holds one would take the others along.
"""

import dataclasses
import enum

from greencache import CacheManager
from greencache.build import build
from greencache.config import CacheConfig
from greencache.receiver import Receiver
from greencache.tiers.memory import MemoryTier
from greencache.tiers.redis import RedisTier
from tests.faults.child import SPAWN

__all__ = [
    "KEYS",
    "MAX_STALENESS",
    "NAMES",
    "NOTICE",
    "PROCESSES",
    "THREADS",
    "WRITERS",
    "Board",
    "Phase",
    "Plan",
    "owner",
    "prefix",
    "remove_guard",
]

KEYS = 50
PROCESSES = 8
WRITERS = 4
"""How many of the processes write too; these are not killed, since nobody else could go on for them."""
THREADS = 2
"""Reading threads in a process."""
MAX_STALENESS = 2.0
NOTICE = 1.0
"""Seconds in which a process notices that announcements were lost: two heartbeats."""
_LEASE_TTL = 1.0
_KEYS_IN_A_GROUP = 4


class Phase(enum.IntEnum):
    """How far the storm is, and for each worker, what it is ready for."""

    WAITING = 0
    STORMING = 1
    SETTLING = 2
    OVER = 3


@dataclasses.dataclass(frozen=True)
class Plan:
    """What all processes know before they start.

    Args:
        l2: The address of each host's Redis.
        l3: The address of the shared Redis.
        folder: Where histories and reports are written.
        seconds: How long the storm lasts.
        without: Which guard of the cache is taken out, as of `remove_guard`; empty for none.
        serves_unproved: Whether what cannot be proved is served while the shared Redis is away.
        seed: Seeds the choices of each worker, together with its number.
    """

    l2: tuple[str, ...]
    l3: str
    folder: str
    seconds: float
    without: str = ""
    serves_unproved: bool = True
    seed: int = 1

    def cache(self, slot, recorder):
        """Return the cache of a worker; workers take turns on the hosts."""
        # Time-outs that a busy machine does not reach: outages are not what this is about.
        server = {"lease_ttl": _LEASE_TTL, "timeout": 10.0, "deadline": 20.0, "connect_timeout": 10.0}
        config = CacheConfig.model_validate(
            {
                "namespace": "storm",
                "l2": server | {"url": self.l2[slot % len(self.l2)]},
                "l3": server | {"url": self.l3},
                "bus": {"max_staleness": MAX_STALENESS, "serve_unproved": self.serves_unproved},
            }
        )
        # Not strict: a worker may be replaced while the nemesis is at work.
        return build(CacheManager, config, recorder=recorder).initialize()


class Board:
    """The memory that all processes share."""

    def __init__(self):
        self.versions = SPAWN.RawArray("q", KEYS)
        self.phase = SPAWN.RawValue("i", Phase.WAITING)
        self.states = SPAWN.RawArray("i", PROCESSES)
        self.loading = SPAWN.RawArray("i", PROCESSES * THREADS)

    def is_loading(self, slot):
        """Whether a reading thread of a worker is in its loader."""
        first = slot * THREADS
        return any(self.loading[first : first + THREADS])

    def clear(self, slot):
        """Forget what a dead worker has left behind."""
        self.states[slot] = Phase.WAITING
        for thread in range(THREADS):
            self.loading[slot * THREADS + thread] = 0


def owner(key):
    """Return the slot of the one worker that writes a key."""
    return key % WRITERS


def group(key):
    """Return the number of a key's group; keys of a group have one owner, a common tag and a prefix."""
    return key // WRITERS // _KEYS_IN_A_GROUP


def prefix(key):
    """Return what the names of a group begin with, which is also its tag."""
    return f"w{owner(key)}:g{group(key)}"


NAMES = [f"{prefix(key)}:{key}" for key in range(KEYS)]


def _fill_without_lease(tier, entries, leases):
    return tier.put_many(entries)


def remove_guard(name):
    """Take one guard of the cache out of this process, so that the checker has something to find.

    Args:
        name: "leases": a fill is stored whatever happened since its lease was given. "bus": what others
            announce is heard and not heeded.
    """
    if name == "leases":
        MemoryTier.fill_many = RedisTier.fill_many = _fill_without_lease
    elif name == "bus":
        Receiver.receive = lambda receiver, message: None
    elif name:
        raise AssertionError(f"there is no guard {name!r}")
