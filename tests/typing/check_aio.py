"""Type-checked, never run: what type checkers see of awaited verbs."""
# ruff: noqa: D103

from typing import assert_type

from greencache import CacheTier
from greencache.aio import CacheManager

cache = CacheManager()


async def fetch() -> int:
    return 1


def read() -> int:
    return 1


async def fetch_many(keys: list[str]) -> dict[str, int]:
    return dict.fromkeys(keys, 1)


def read_many(keys: list[str]) -> dict[str, int]:
    return dict.fromkeys(keys, 1)


async def main() -> None:
    assert_type(await cache.get_or_load("a", fetch), int)
    assert_type(await cache.get_or_load("a", read, ttl=3), int)
    assert_type(await cache.get_or_load("a", lambda: fetch()), int)  # noqa: PLW0108
    assert_type(await cache.get_or_load("a", lambda: "text"), str)
    assert_type(await cache.refresh("a", fetch), int)
    assert_type(await cache.refresh("a", read), int)
    assert_type(await cache.get_or_load_many(["a"], fetch_many), dict[str, int])
    assert_type(await cache.get_or_load_many(["a"], read_many), dict[str, int])
    assert_type(await cache.invalidate("a"), int)
    assert_type(await cache.invalidate("a", dry_run=True), dict[CacheTier, int])
    await cache.get_or_load("a", fetch, colour=1)  # type: ignore[call-overload]
    await cache.get_or_load("a", fetch_many)  # type: ignore[arg-type]
