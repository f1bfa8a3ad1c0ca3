"""Sizes and durations as people write them: `5MB`, `64KiB`, `300s`, `1h30m`, `never`."""

import decimal
import math
import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from greencache.config.nearest import shown
from greencache.errors import ConfigurationError
from greencache.typing import Seconds

__all__ = ["Duration", "OptionalDuration", "Size", "parse_duration", "parse_optional_duration", "parse_size"]

# IEC 80000-13: k, M, G are powers of ten; Ki, Mi, Gi are powers of 1024. Redis's own configuration takes mb
# for 1024 * 1024: write MiB to mean that.
_BYTES: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
# Decimal, so that 300ms is 0.3 and not 0.30000000000000004.
_SECONDS: Final = {
    unit: decimal.Decimal(seconds)
    for unit, seconds in (
        ("w", "604800"),
        ("d", "86400"),
        ("h", "3600"),
        ("m", "60"),
        ("s", "1"),
        ("ms", "0.001"),
    )
}

# The digits are bounded, so that no text can make arithmetic slow.
_NUMBER: Final = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_SIZE: Final = re.compile(rf"({_NUMBER})\s*([A-Za-z]*)", re.ASCII)
_DURATION: Final = re.compile(r"\s*".join(rf"(?:({_NUMBER})\s*{unit})?" for unit in _SECONDS), re.ASCII)


def parse_size(value: object) -> int:
    """Return a size in bytes.

    Args:
        value: Bytes as a whole number, or text such as `5MB` (5,000,000 bytes), `64KiB` (65,536 bytes) or
            `1.5 GB`; upper and lower case mean the same.

    Raises:
        ConfigurationError: If it is anything else, or not a whole number of bytes.
    """
    size: decimal.Decimal | int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        unit = _BYTES.get(match[2].lower())
        size = None if unit is None else decimal.Decimal(match[1]) * unit
    if size is None or size < 0 or size != int(size):
        raise ConfigurationError(f"expected bytes, or a size such as 5MB, 64KiB or 10GB, got {shown(value)}")
    return int(size)


def parse_duration(value: object) -> Seconds:
    """Return a duration in seconds.

    Args:
        value: Seconds as a number, or text such as `250ms`, `300s`, `5m`, `1h30m`, `2d`, `1w`, `0.5`.

    Raises:
        ConfigurationError: If it is anything else, negative, or not finite.
    """
    seconds: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = _as_float(value)
    elif isinstance(value, str):
        seconds = _spoken_seconds(value.strip())
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        raise ConfigurationError(
            f"expected seconds, or a duration such as 250ms, 300s, 5m or 1h30m, got {shown(value)}"
        )
    return seconds


def parse_optional_duration(value: object) -> Seconds | None:
    """Return a duration in seconds, or `None` for `never`, `Never` and `None`.

    Raises:
        ConfigurationError: If it is neither a duration nor one of these.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() == "never"):
        return None
    return parse_duration(value)


def _spoken_seconds(text: str) -> Seconds | None:
    if re.fullmatch(_NUMBER, text, re.ASCII):
        return float(text)
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    parts = zip(match.groups(), _SECONDS.values(), strict=True)
    return float(sum((decimal.Decimal(number) * unit for number, unit in parts if number), decimal.Decimal()))


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
"""Bytes, more than none."""

Duration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
"""Seconds, more than none."""


def _positive_or_none(value: Any) -> Seconds | None:
    seconds = parse_optional_duration(value)
    if seconds == 0:
        raise ConfigurationError("expected a duration of more than 0 seconds, or never")
    return seconds


OptionalDuration = Annotated[float | None, BeforeValidator(_positive_or_none)]
"""Seconds, more than none; `None` for no limit."""
