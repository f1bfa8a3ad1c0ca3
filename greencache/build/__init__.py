"""The composition root: makes a cache from its configuration; the one place that knows everybody."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from greencache.build.builder import Builder
from greencache.clock import Clock, SystemClock
from greencache.config import CacheConfig
from greencache.errors import ConfigurationError
from greencache.events import Recorder
from greencache.manager import CacheManager
from greencache.tiers.view_spec import ViewSpec
from greencache.typing import UNSET, Seconds, Unset

__all__ = ["build", "from_config", "from_urls"]

M = TypeVar("M", bound=CacheManager)


def from_urls(
    cls: type[M],
    *,
    l1: str | int | None,
    l2: str | None,
    l3: str | None,
    l4: str | None,
    namespace: str,
    max_staleness: Seconds | Unset | None = UNSET,
    **parts: Any,
) -> M:
    """Return a cache over the servers at these addresses, with the default settings for all else.

    Args:
        cls: The class of the cache.
        l1: Bytes of L1, such as "5MB"; `None` for no L1.
        l2: Address of the host's Redis.
        l3: Address of the Redis that all hosts share.
        l4: Address of PostgreSQL.
        namespace: Keeps this cache's keys apart from all others.
        max_staleness: Seconds after an invalidation elsewhere past which L1 serves nothing older; `None`
            for as long as its ttl.
        parts: As of `build`.
    """
    config = CacheConfig.from_urls(l1=l1, l2=l2, l3=l3, l4=l4, namespace=namespace)
    if max_staleness is not UNSET:
        bus = config.bus.model_copy(update={"max_staleness": max_staleness})
        config = config.model_copy(update={"bus": bus})
    return build(cls, config, **parts)


def from_config(
    cls: type[M], source: "CacheConfig | str | os.PathLike[str]", *, profile: str | None, **parts: Any
) -> M:
    """Return the cache that a configuration, or a YAML file, describes.

    Args:
        cls: The class of the cache.
        source: The configuration, or the path of its file.
        profile: Which profile of the file.
        parts: As of `build`.
    """
    config = source if isinstance(source, CacheConfig) else CacheConfig.load(source, profile=profile)
    return build(cls, config, **parts)


def build(
    cls: type[M],
    config: CacheConfig,
    *,
    types: Iterable[type] = (),
    views: Sequence[ViewSpec] = (),
    recorder: Recorder | None = None,
    clock: Clock | None = None,
    **arguments: Any,
) -> M:
    """Return the cache that a configuration describes.

    Args:
        cls: The class of the cache.
        config: All settings.
        types: Classes of values that processes may read which have not stored one themselves.
        views: Materialized views that L4 reads, beside those of the configuration.
        recorder: Is told of what happens; by default what `config.logging` says.
        clock: Where the time comes from.
        arguments: `strategy`, `defaults`, `patience` and others of `CacheManager`, instead of the settings.

    Raises:
        ConfigurationError: If the settings do not fit together.
    """
    if isinstance(views, ViewSpec) or not all(isinstance(view, ViewSpec) for view in views):
        raise ConfigurationError(f"views must be a sequence of ViewSpec, got {views!r}")
    builder = Builder(config, tuple(types), tuple(views), recorder, clock or SystemClock())
    return builder.cache(cls, arguments)
