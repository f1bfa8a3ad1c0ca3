"""What talks to the servers that a configuration names."""

from functools import partial
from typing import Any

from greencache.backends.breaker import Breaker
from greencache.backends.redis import RedisManager
from greencache.backends.redis_login import Password
from greencache.backends.retry import RetryPolicy
from greencache.build.parts import address_of
from greencache.clock import Clock
from greencache.config import RedisConfig, ServerConfig
from greencache.config.secret_files import read_secret

__all__ = ["connection_of", "redis_manager_of"]


def redis_manager_of(config: RedisConfig, clock: Clock) -> RedisManager:
    """Return what talks to the Redis of a tier, and knows how that is to be set up.

    Raises:
        ConfigurationError: If the tier has no address.
    """
    server = config.server
    return RedisManager(
        address_of(config),
        timeout=config.timeout,
        deadline=config.deadline,
        max_connections=config.max_connections,
        username=config.username,
        password=_password_of(config),
        max_calls_per_second=config.max_calls_per_second,
        replica_reads=config.replica_reads,
        server_settings=server.as_directives(config.topology) if server.compare else None,
        **connection_of(config, clock),
    )


def _password_of(config: RedisConfig) -> Password:
    """Return the password; one in a file is read at each login, as it may be exchanged there."""
    if config.password_file is not None:
        return partial(read_secret, config.password_file)
    return config.password.get_secret_value() if config.password else None


def connection_of(config: ServerConfig, clock: Clock) -> dict[str, Any]:
    """Return what the managers of all kinds of servers take."""
    retry, breaker = config.retry, config.breaker
    return {
        "connect_timeout": config.connect_timeout,
        "retry": RetryPolicy(
            retries=retry.retries, base=retry.base, factor=retry.factor, full_jitter=retry.full_jitter
        ),
        "breaker": Breaker(
            breaker.failures, patience=breaker.patience, reset_after=breaker.reset_after, clock=clock
        ),
        "clock": clock,
    }
