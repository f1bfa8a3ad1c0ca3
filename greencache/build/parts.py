"""The parts of a cache that depend on one section of the configuration each."""

import os

from greencache.clock import Clock
from greencache.codecs import Codec, Signer, compressor_named, serializer_named
from greencache.config import CacheConfig, L2Config, L4Config, RecordConfig, RedisConfig, ServerConfig
from greencache.errors import ConfigurationError
from greencache.events import NullRecorder, Recorder
from greencache.log import StructlogRecorder
from greencache.recording import AccessLog
from greencache.tiers.pace import SlowLooks
from greencache.tiers.view_spec import ViewSpec

__all__ = ["access_log_of", "address_of", "codec_of", "recorder_of", "slow_looks_of", "view_specs_of"]


def recorder_of(config: CacheConfig, clock: Clock) -> Recorder:
    """Return what takes note of events: a logger, unless logging is off."""
    logging = config.logging
    if not logging.enabled:
        return NullRecorder()
    return StructlogRecorder(
        redact_keys=logging.redact_keys,
        level=logging.level,
        burst=logging.max_per_second,
        period=1.0,
        clock=clock,
    )


def access_log_of(
    config: RecordConfig, path: str | os.PathLike[str] | None, clock: Clock, recorder: Recorder
) -> AccessLog | None:
    """Return where accesses to L1 are recorded, if anywhere.

    Args:
        config: How.
        path: The file, instead of that of the settings.
        clock: Where the time comes from.
        recorder: Is told when recording has ended before its time.
    """
    chosen = config.path if path is None else path
    if chosen is None:
        return None
    return AccessLog(
        chosen, hash_keys=config.hash_keys, max_size=config.max_size, clock=clock, recorder=recorder
    )


def codec_of(config: CacheConfig, types: tuple[type, ...], clock: Clock) -> Codec:
    """Return what exchanges entries for bytes."""
    codec = config.codec
    keys = [key.get_secret_value().encode() for key in codec.signing_keys]
    return Codec(
        serializer_named(codec.serializer, types),
        compressor=None if codec.compression == "none" else compressor_named(codec.compression),
        compress_above=codec.compress_above,
        max_size=codec.max_size,
        signer=Signer(keys) if keys else None,
        checksum=codec.checksum,
        clock=clock,
    )


def address_of(config: ServerConfig) -> str:
    """Return the address of a server, its secrets included."""
    url = config.address if isinstance(config, L4Config | RedisConfig) else config.url
    if url is None:
        raise ConfigurationError("expected the address of a server, got none")
    return url.get_secret_value()


def slow_looks_of(config: RedisConfig) -> SlowLooks | None:
    """Return when a tier counts as slow; `None` for one that is asked however slow it is."""
    if not isinstance(config, L2Config):
        return None
    slow = config.slow_looks
    return SlowLooks(threshold=slow.threshold, rate=slow.rate, window=slow.window)


def view_specs_of(config: L4Config) -> list[ViewSpec]:
    """Return the materialized views that L4 reads."""
    return [
        ViewSpec(
            name=view.name,
            template=view.key,
            columns=view.key_columns,
            value=view.value,
            max_age=view.max_age,
            when_old=view.when_old,
            query=view.query,
            refresh=None if view.refresh is None else view.refresh.policy(),
            after=view.after,
        )
        for view in config.views
    ]
