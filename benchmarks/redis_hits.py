"""Hits in a Redis: one key, and a hundred at once, beside plain redis-py and decoding."""

from collections.abc import Callable
from typing import Any

import msgspec
import redis

from benchmarks.timing import Budget, Work
from greencache import CacheManager

KEYS = [f"factor:region{number}:co2" for number in range(100)]
CALLS = 200


def contenders(url: str) -> dict[str, Work]:
    """Return what is compared, by name.

    Args:
        url: An empty Redis.
    """
    manager = CacheManager.from_urls(l1=None, l2=url, namespace="bench").initialize(strict=True)
    manager.mset(dict.fromkeys(KEYS, 1.0))
    plain = redis.Redis.from_url(url)
    plain.mset({key: msgspec.msgpack.encode(1.0) for key in KEYS})
    decode: Callable[[Any], Any] = msgspec.msgpack.decode
    return {
        "redis-py GET + msgpack": repeated(lambda: decode(plain.get(KEYS[0]))),
        "greencache get from L2": repeated(lambda: manager.get(KEYS[0])),
        "redis-py MGET of 100 + msgpack": repeated(lambda: [decode(data) for data in plain.mget(KEYS)]),
        "greencache mget of 100 from L2": repeated(lambda: manager.mget(KEYS)),
    }


def repeated(call: Callable[[], object]) -> Work:
    """Return work that makes a call many times."""

    def work() -> int:
        for _ in range(CALLS):
            call()
        return CALLS

    return work


BUDGETS: list[Budget] = [
    ("greencache get from L2", "redis-py GET + msgpack", "at most", 1.10),
    ("greencache mget of 100 from L2", "redis-py MGET of 100 + msgpack", "at most", 1.15),
]
