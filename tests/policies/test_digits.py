"""Hit ratios, to the last digit: N equal entries, no ttl, every miss stored."""

import lzma
import os
import pathlib

import pytest

from greencache.policies import POLICIES

# Miss ratios of real traces with 1, 5, 10 and 25 % of their keys, as libCacheSim 0.3.5 has them.
PUBLISHED = {
    "meta_cdn": {
        "lru": (0.7136, 0.3967, 0.3686, 0.3401),
        "fifo": (0.7367, 0.4793, 0.4138, 0.3617),
        "sieve": (0.6155, 0.3883, 0.3551, 0.3313),
        "s3fifo": (0.6016, 0.3825, 0.3564, 0.3337),
    },
    "cache2k_web12": {
        "lru": (0.6030, 0.4000, 0.3152, 0.2231),
        "fifo": (0.6237, 0.4375, 0.3547, 0.2567),
        "sieve": (0.5975, 0.3648, 0.2828, 0.2095),
        "s3fifo": (0.5904, 0.3521, 0.2788, 0.2052),
    },
    "build_uvloop": {
        "lru": (0.6487, 0.5505, 0.5256, 0.0443),
        "fifo": (0.6596, 0.5562, 0.5277, 0.0544),
        "sieve": (0.6069, 0.5123, 0.4322, 0.0746),
        "s3fifo": (0.5959, 0.4572, 0.4354, 0.0525),
    },
    "lirs_sprite": {
        "lru": (0.8367, 0.3437, 0.1352, 0.0675),
        "fifo": (0.8304, 0.3821, 0.1804, 0.0858),
        "sieve": (0.8071, 0.3947, 0.1848, 0.0838),
        "s3fifo": (0.7873, 0.3294, 0.1404, 0.0750),
    },
}


def misses(name, size, requests):
    """Return how many requests miss."""
    cache = POLICIES[name](size)
    count = 0
    for key in requests:
        if key in cache:
            cache[key]
        else:
            count += 1
            cache[key] = True
    return count


def expected_misses(name, size, requests, references):
    """Return the same from lists and slow references."""
    count = 0
    if name in references:
        cache = references[name](size)
        for key in requests:
            if key in cache:
                cache.get(key)
                continue
            count += 1
            if len(cache.small) + len(cache.main) == size if name == "s3fifo" else len(cache.queue) == size:
                cache.evict()
            cache.put(key)
        return count
    queue = []
    for key in requests:
        if key in queue:
            if name == "lru":
                queue.remove(key)
                queue.append(key)
        else:
            count += 1
            del queue[: max(0, len(queue) + 1 - size)]
            queue.append(key)
    return count


@pytest.mark.parametrize("size", [20, 150])
@pytest.mark.parametrize("name", ["lru", "fifo", "sieve", "s3fifo"])
def test_a_trace_of_our_own_gives_the_digits_of_slow_references(name, size, own_trace, references):
    """The same number of misses, exactly."""
    assert misses(name, size, own_trace) == expected_misses(name, size, own_trace, references)


@pytest.mark.parametrize("trace", sorted(PUBLISHED))
def test_real_traces_give_the_published_digits(trace):
    """Four policies, four sizes, four digits."""
    folder = os.environ.get("GREENCACHE_TRACES")
    if not folder:
        pytest.skip("GREENCACHE_TRACES does not name a folder with real traces")
    path = pathlib.Path(folder) / f"{trace}.txt.xz"
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        next(lines)
        requests = [line.rstrip("\n").partition(",")[0] for line in lines]
    unique = len(set(requests))
    for name, ratios in PUBLISHED[trace].items():
        for part, ratio in zip((0.01, 0.05, 0.1, 0.25), ratios, strict=True):
            found = misses(name, int(unique * part), requests) / len(requests)
            assert found == pytest.approx(ratio, abs=0.000051)
