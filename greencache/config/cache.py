"""The whole configuration, and the places it is read from."""

import os
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from greencache.config.environment import PROFILE_VARIABLE, read_environment
from greencache.config.features import BusConfig, CodecConfig, DefaultsConfig, HealthConfig, LoggingConfig
from greencache.config.layers import Layer
from greencache.config.profiles import select_profile
from greencache.config.settings import Count, Settings
from greencache.config.tiers import L1Config, L2Config, L3Config, L4Config
from greencache.config.units import Duration
from greencache.config.yaml_file import read_yaml
from greencache.errors import ConfigurationError
from greencache.keys import check_namespace
from greencache.typing import CacheTier

__all__ = ["CacheConfig"]


class CacheConfig(Settings):
    """All that can be set of a cache; data only, which opens nothing.

    Raises:
        ConfigurationError: If a setting is unknown or wrong. The message names it, and shows no secret.
    """

    namespace: Annotated[str, AfterValidator(check_namespace)] = "default"
    strategy: Literal["cache-aside", "write-through"] = "cache-aside"
    isolation: Literal["reference", "frozen", "copy"] = "reference"
    max_concurrent_loads: Count = 64
    failover_window: Duration = 60.0
    defaults: DefaultsConfig = DefaultsConfig()
    l1: L1Config = L1Config()
    l2: L2Config = L2Config()
    l3: L3Config = L3Config()
    l4: L4Config = L4Config()
    codec: CodecConfig = CodecConfig()
    bus: BusConfig = BusConfig()
    health: HealthConfig = HealthConfig()
    logging: LoggingConfig = LoggingConfig()

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        profile: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Return what a YAML file, a profile of it and the environment say, each covering the one before.

        Args:
            path: The file; `None` for the environment alone.
            profile: Which profile of the file; the variable GREENCACHE_PROFILE if not given, else none.
            environ: The environment variables; those of this process if not given.

        Raises:
            ConfigurationError: If the file, the profile or a setting is missing, unknown or wrong.
        """
        environ = os.environ if environ is None else environ
        variables = read_environment(environ, cls.model_fields)
        chosen = profile or environ.get(PROFILE_VARIABLE) or None
        settings = variables.over(_file_settings(path, chosen))
        return cls.from_mapping(settings.values, settings.origins)

    @classmethod
    def from_urls(
        cls,
        *,
        l1: str | int | None = "5MB",
        l2: str | None = None,
        l3: str | None = None,
        l4: str | None = None,
        namespace: str = "default",
    ) -> Self:
        """Return the configuration of a cache with servers at these addresses, and defaults for the rest.

        Args:
            l1: The size of L1, such as "5MB", or bytes; `None` for no L1.
            l2: Redis on this host.
            l3: Redis shared by all hosts.
            l4: PostgreSQL.
            namespace: What this cache's keys are kept under.

        Raises:
            ConfigurationError: If an address or the size is wrong, or there is no tier at all.
        """
        urls = {"l2": {"url": l2}, "l3": {"url": l3}, "l4": {"url": l4}}
        memory = {"enabled": False} if l1 is None else {"size": l1}
        return cls.from_mapping({"namespace": namespace, "l1": memory, **urls}, {})

    @property
    def tiers(self) -> tuple[CacheTier, ...]:
        """The tiers that the cache has, from the nearest to the deepest."""
        return tuple(tier for tier in CacheTier if getattr(self, tier.name.lower()).is_configured)

    @model_validator(mode="after")
    def _has_a_tier(self) -> Self:
        if not self.tiers:
            raise ValueError("expected at least one tier; enable l1, or give l2, l3 or l4 a url")
        return self

    @model_validator(mode="after")
    def _bounds_replica_reads(self) -> Self:
        longest = self.bus.max_staleness
        for bound in (self.l2.replica_reads, self.l3.replica_reads):
            if bound is not None and longest is not None and bound > longest:
                raise ValueError(
                    f"expected replica_reads to be no longer than bus.max_staleness, got {bound:g} s and"
                    f" {longest:g} s: what others have invalidated would be read for longer than that"
                )
        return self


def _file_settings(path: str | os.PathLike[str] | None, profile: str | None) -> Layer:
    if path is not None:
        return select_profile(read_yaml(path), profile, os.fspath(path))
    if profile is not None:
        raise ConfigurationError(
            f"profile {profile!r} was asked for, but no file that could have it is given"
        )
    return Layer()
