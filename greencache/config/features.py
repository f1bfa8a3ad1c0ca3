"""The settings of what is not a tier."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from greencache.config.secret_files import json_list, with_secrets
from greencache.config.settings import Count, Fraction, Settings
from greencache.config.units import (
    Duration,
    OptionalDuration,
    Size,
    parse_duration,
    parse_optional_duration,
    parse_size,
)
from greencache.options import EntryOptions
from greencache.typing import UNSET, Unset

__all__ = ["BusConfig", "CodecConfig", "DefaultsConfig", "HealthConfig", "LoggingConfig"]

_SHORTEST_KEY = 16


def _keys_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


class CodecConfig(Settings):
    """How entries become bytes."""

    serializer: Literal["msgpack", "json", "pickle"] = "msgpack"
    compression: Literal["none", "zstd", "lz4", "snappy", "zlib"] = "none"
    compress_above: Annotated[int, BeforeValidator(parse_size)] = 1_024
    checksum: Literal["sha256", "crc32"] = "sha256"
    signing_keys: Annotated[tuple[SecretStr, ...], BeforeValidator(json_list)] = ()
    signing_keys_file: Path | None = Field(default=None, exclude=True)
    max_size: Size = 64_000_000

    @model_validator(mode="before")
    @classmethod
    def _read_keys(cls, settings: Any) -> Any:
        return with_secrets(settings, "signing_keys", parse=_keys_of)

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if any(len(key.get_secret_value().encode()) < _SHORTEST_KEY for key in self.signing_keys):
            raise ValueError(f"expected signing_keys of {_SHORTEST_KEY} bytes or more, got a shorter one")
        if self.serializer == "pickle" and not self.signing_keys:
            raise ValueError(
                "the pickle serializer needs signing_keys: else who can write to a server can run code in "
                "every process that reads from it; give keys, or use msgpack"
            )
        return self


class BusConfig(Settings):
    """How other processes learn what they must forget."""

    enabled: bool = True
    max_staleness: OptionalDuration = 2.0
    heartbeat: Duration = 0.5
    serve_unproved: bool = True

    @model_validator(mode="after")
    def _check_heartbeat(self) -> Self:
        if self.max_staleness is not None and self.heartbeat >= self.max_staleness:
            raise ValueError(
                f"expected heartbeat to be shorter than max_staleness, got {self.heartbeat:g} s and "
                f"{self.max_staleness:g} s: L1 would not be trusted between two heartbeats"
            )
        return self


def _ttl_or_per_tier(value: Any) -> Any:
    return value if value == "per-tier" else parse_optional_duration(value)


def _or_unset(seconds: float | None) -> float | Unset:
    return UNSET if seconds is None else seconds


class DefaultsConfig(Settings):
    """Options of entries for which the call gives none."""

    ttl: Annotated[float | Literal["per-tier"] | None, BeforeValidator(_ttl_or_per_tier)] = "per-tier"
    stale_ttl: Annotated[float, BeforeValidator(parse_duration)] = 0.0
    jitter: Fraction = 0.0
    refresh_ahead: Fraction = 1.0
    beta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    negative_ttl: OptionalDuration = None
    retry_after: Annotated[float, BeforeValidator(parse_duration)] = 0.0
    soft_timeout: Annotated[float | None, BeforeValidator(parse_optional_duration)] = None
    hard_timeout: OptionalDuration = None

    @model_validator(mode="after")
    def _check_refreshes(self) -> Self:
        if self.beta and self.refresh_ahead < 1:
            raise ValueError("expected refresh_ahead or beta, not both: each says when to reload early")
        return self

    def options(self) -> EntryOptions:
        """Return them as the cache takes them."""
        ttl: float | Unset | None = UNSET if self.ttl == "per-tier" else self.ttl
        return EntryOptions(
            ttl=ttl,
            stale_ttl=self.stale_ttl,
            jitter=self.jitter,
            refresh_ahead=UNSET if self.beta else self.refresh_ahead,
            beta=self.beta or UNSET,
            negative_ttl=_or_unset(self.negative_ttl),
            retry_after=self.retry_after or UNSET,
            soft_timeout=_or_unset(self.soft_timeout),
            hard_timeout=_or_unset(self.hard_timeout),
        )


class LoggingConfig(Settings):
    """What is logged of the cache's events."""

    enabled: bool = True
    level: Literal["debug", "info", "warning", "error"] = "info"
    redact_keys: bool = False
    max_per_second: Count = 10


class HealthConfig(Settings):
    """How the servers are looked after."""

    interval: Annotated[float, BeforeValidator(parse_duration)] = 30.0
    max_latency: Duration = 0.1
