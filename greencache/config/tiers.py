"""The settings of the four tiers."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from greencache.config.redis_server import RedisServerConfig
from greencache.config.secret_files import json_list, with_secrets
from greencache.config.settings import AnyCount, Count, Settings
from greencache.config.units import Duration, OptionalDuration, Size
from greencache.config.urls import PostgresUrl, RedisTopology, RedisUrl, ServerUrl
from greencache.config.views import ViewConfig

__all__ = [
    "BreakerConfig",
    "L1Config",
    "L2Config",
    "L3Config",
    "L4Config",
    "RecordConfig",
    "RedisConfig",
    "RetryConfig",
    "ServerConfig",
    "SlowLooksConfig",
]

EvictionPolicy = Literal["default", "s3fifo", "sieve", "gdsf", "lru", "lfu", "fifo", "random"]


class RecordConfig(Settings):
    """How what is asked of L1 is recorded, for `greencache simulate`."""

    path: Path | None = None
    hash_keys: bool = True
    max_size: Size = 100_000_000


class L1Config(Settings):
    """This process's memory."""

    enabled: bool = True
    size: Size = 5_000_000
    max_entries: Count | None = None
    ttl: OptionalDuration = 60.0
    policy: EvictionPolicy = "default"
    count_hits: bool = False
    record: RecordConfig = RecordConfig()

    @property
    def is_configured(self) -> bool:
        """Whether the cache has this tier."""
        return self.enabled


class RetryConfig(Settings):
    """How a command that is safe to repeat is repeated."""

    retries: AnyCount = 3
    base: Duration = 0.1
    factor: Annotated[float, Field(ge=1)] = 2.0
    full_jitter: bool = True


class BreakerConfig(Settings):
    """When a tier that fails is left alone."""

    failures: Count = 5
    patience: Duration = 2.0
    reset_after: Duration = 1.0


class SlowLooksConfig(Settings):
    """When reads pass by a tier that answers, but late."""

    threshold: OptionalDuration = 0.1
    rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    window: Count = 10


class ServerConfig(Settings):
    """What the tiers on servers have in common. A tier without a URL is not part of the cache."""

    enabled: bool = True
    url: ServerUrl | None = None
    url_file: Path | None = Field(default=None, exclude=True)
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = Field(default=None, exclude=True)
    ttl: OptionalDuration = None
    timeout: Duration = 5.0
    connect_timeout: Duration = 1.0
    deadline: Duration = 5.0
    max_connections: Count = 50
    lease_ttl: Duration = 5.0
    max_entry_size: Size = 8_000_000
    retry: RetryConfig = RetryConfig()
    breaker: BreakerConfig = BreakerConfig()

    _further_secrets: ClassVar[tuple[str, ...]] = ()

    @property
    def is_configured(self) -> bool:
        """Whether the cache has this tier."""
        return self.enabled and self.url is not None

    @model_validator(mode="before")
    @classmethod
    def _read_secrets(cls, settings: Any) -> Any:
        return with_secrets(settings, "url", "password", *cls._further_secrets)

    @model_validator(mode="after")
    def _check_password(self) -> Self:
        if self.password is not None and self.url is not None and self.url.has_password:
            raise ValueError("expected one password, got one in the url and one beside it; take one out")
        return self


class RedisConfig(ServerConfig):
    """A tier on a Redis."""

    url: Annotated[RedisUrl | None, BeforeValidator(RedisUrl.parsed)] = None
    sentinel_username: str | None = None
    sentinel_password: SecretStr | None = None
    sentinel_password_file: Path | None = Field(default=None, exclude=True)
    max_calls_per_second: Annotated[float, Field(ge=1)] | None = None
    replica_reads: OptionalDuration = None
    size: Size = 100_000_000
    server: RedisServerConfig = RedisServerConfig()

    _further_secrets = ("sentinel_password",)

    @model_validator(mode="after")
    def _check_replica_reads(self) -> Self:
        if self.replica_reads is not None and self.topology is RedisTopology.STANDALONE:
            raise ValueError(
                "expected the url to be redis+sentinel:// or redis+cluster:// where replica_reads is set, got"
                " one server or none"
            )
        return self

    @property
    def address(self) -> RedisUrl | None:
        """The url with the sentinels' user and password that stand beside it, which go before its own."""
        if self.url is None or self.sentinel_password is None:
            return self.url
        login = {"sentinel_password": self.sentinel_password.get_secret_value()}
        if self.sentinel_username is not None:
            login["sentinel_username"] = self.sentinel_username
        return self.url.with_options(login)

    @property
    def topology(self) -> RedisTopology:
        """How its servers belong together; without a URL, just one server."""
        return RedisTopology.STANDALONE if self.url is None else self.url.topology


class L2Config(RedisConfig):
    """Redis on this host."""

    ttl: OptionalDuration = 300.0
    slow_looks: SlowLooksConfig = SlowLooksConfig()


class L3Config(RedisConfig):
    """Redis shared by all hosts."""

    ttl: OptionalDuration = 3_600.0
    size: Size = 10_000_000_000


class L4Config(ServerConfig):
    """PostgreSQL: a key-value table, and materialized views that are read by their keys."""

    url: Annotated[PostgresUrl | None, BeforeValidator(PostgresUrl.parsed)] = None
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = None
    sslrootcert: Path | None = None
    sslcert: Path | None = None
    sslkey: Path | None = None
    schema_name: Annotated[str, Field(min_length=1, max_length=63)] = "greencache"
    size: Size | None = None
    max_entries: Count | None = None
    sweep_interval: OptionalDuration = 60.0
    unlogged: bool | None = None
    views: Annotated[tuple[ViewConfig, ...], BeforeValidator(json_list)] = ()
    listen: bool = True
    poll_interval: Duration = 1.0
    snapshot_window: Duration = 300.0
    pooled: bool = False

    @property
    def address(self) -> PostgresUrl | None:
        """The url with the user, password and TLS settings that stand beside it, which go before its own."""
        if self.url is None:
            return None
        beside = {
            "user": self.username,
            "password": self.password and self.password.get_secret_value(),
            "sslmode": self.sslmode,
            "sslrootcert": self.sslrootcert,
            "sslcert": self.sslcert,
            "sslkey": self.sslkey,
        }
        return self.url.with_options(
            {name: str(value) for name, value in beside.items() if value is not None}
        )
