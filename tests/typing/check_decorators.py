"""Type-checked, never run: what type checkers see of decorated functions."""
# ruff: noqa: D102, D103

from typing import assert_type

from greencache import CacheManager
from greencache.decorators import (
    CachedFunction,
    CacheInfo,
    InvalidatedFunction,
    cached,
    cached_with_invalidation,
)

cache = CacheManager()


@cached(ttl=300, cache_manager=cache)
def factor(region: str, year: int = 2022, *, unit: str = "g") -> float:
    return 1.0


assert_type(factor("DE"), float)
assert_type(factor("DE", 2021, unit="kg"), float)
assert_type(factor.key("DE"), str)
assert_type(factor.refresh("DE", year=2021), float)
assert_type(factor.cache_info(), CacheInfo)
factor.invalidate("DE", 2021)

factor(1)  # type: ignore[arg-type]
factor("DE", colour=1)  # type: ignore[call-arg]
factor.invalidate()  # type: ignore[call-arg]
factor.key(2022)  # type: ignore[arg-type]


class Source:
    @cached(cache_manager=cache)
    def untyped_self(self, region: str) -> int:
        return 1

    @cached(cache_manager=cache, self_key="tenant")
    def lookup(self, region: str) -> int:
        return 1

    @cached(cache_manager=cache)
    @staticmethod
    def static_inside(region: str) -> int:
        return 1

    @staticmethod
    @cached(cache_manager=cache)
    def static_outside(region: str) -> int:
        return 1

    @cached(cache_manager=cache)
    @classmethod
    def class_inside(cls, region: str) -> int:
        return 1

    @classmethod
    @cached(cache_manager=cache)
    def class_outside(cls, region: str) -> int:
        return 1

    @cached_with_invalidation(cache_manager=cache)
    def factor(self, region: str) -> int:
        return 1

    @factor.invalidated_by
    def set_factor(self, region: str, value: int) -> bytes:
        return b""


source = Source()
assert_type(source.lookup("DE"), int)
assert_type(source.lookup.key(region="DE"), str)
assert_type(source.lookup.refresh("DE"), int)
source.lookup(1)  # type: ignore[arg-type]
assert_type(Source.lookup(source, "DE"), int)
assert_type(source.factor("DE"), int)
assert_type(source.set_factor("DE", 1), bytes)
source.factor.invalidate_all()
source.set_factor("DE", "1")  # type: ignore[arg-type]

assert_type(Source.static_inside("DE"), int)
assert_type(Source.static_inside.key("DE"), str)
assert_type(Source.static_outside("DE"), int)
assert_type(Source.static_outside.key("DE"), str)
assert_type(Source.class_inside("DE"), int)
assert_type(Source.class_inside.key("DE"), str)
assert_type(source.class_inside("DE"), int)
assert_type(Source.class_outside("DE"), int)


@cached_with_invalidation(ttl=None, key="f:{region}", tags=["r:{region}"], cache_manager=lambda: cache)
def generation(region: str) -> dict[str, float]:
    return {}


@generation.invalidated_by
def set_generation(region: str, value: float) -> None: ...


@generation.invalidated_by(everything=True)
def reload(path: str) -> int:
    return 1


assert_type(generation("DE"), dict[str, float])
assert_type(reload("x"), int)
set_generation("DE", 1.0)
generation.invalidate_all()
as_function: CachedFunction[..., dict[str, float]] = generation
as_invalidated: InvalidatedFunction[..., dict[str, float]] = generation
