"""Fills an L1 in a process of its own, and prints by how many bytes the process has grown.

Arguments: the size of L1, the kind of values, and how many times over to fill it.
"""

import datetime as dt
import gc
import os
import pathlib
import random
import sys

from greencache import CacheManager
from greencache.tiers.memory import MemoryTier

PAGE = os.sysconf("SC_PAGE_SIZE")


def row(chance):
    """Return what a query for one row gives."""
    return {
        "id": chance.randrange(10**9),
        "region": f"region {chance.randrange(10**6)}",
        "factor": chance.random(),
        "valid": dt.date(2000, 1, 1) + dt.timedelta(days=chance.randrange(9_000)),
        "notes": "".join(chance.choices("abcdefgh ", k=chance.randrange(120))),
    }


KINDS = {
    "rows": row,
    "lists of rows": lambda chance: [row(chance) for _ in range(chance.randrange(1, 20))],
    "numbers": lambda chance: chance.random(),
    "texts": lambda chance: "".join(chance.choices("abcdefgh ", k=chance.randrange(5_000))),
}


def resident():
    """Return the bytes of memory that this process has to itself now."""
    pages = pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()
    return (int(pages[1]) - int(pages[2])) * PAGE


def main():
    """Warm up, fill, measure."""
    size, make, times = int(sys.argv[1]), KINDS[sys.argv[2]], float(sys.argv[3])
    chance = random.Random(5)
    # What the process needs anyway: modules, free lists, the allocator's own books.
    warm = CacheManager([MemoryTier(200_000)])
    for number in range(1_000):
        warm.set(f"warm:{number}", make(chance))
    warm.close()
    gc.collect()
    before = resident()
    cache = CacheManager([MemoryTier(size)])
    number, full = 0, 0
    # Filled once, then turned over, as a cache that lives long is.
    while not full or number < times * full:
        cache.set(f"key:{number}", make(chance))
        number += 1
        if not full and cache.get_stats()["L1"].evictions:
            full = number
    gc.collect()
    print(resident() - before)  # noqa: T201 -- what the test reads


if __name__ == "__main__":
    main()
