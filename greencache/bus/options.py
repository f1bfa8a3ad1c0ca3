"""What a bus may be told."""

import math

from greencache.errors import ConfigurationError
from greencache.typing import Seconds

__all__ = ["check_options"]


def check_options(heartbeat: Seconds, max_staleness: Seconds | None, max_length: int) -> None:
    """Refuse what does not make a bus.

    Args:
        heartbeat: Seconds between two proofs that nothing was missed.
        max_staleness: Seconds that such a proof holds; `None` for ever.
        max_length: Messages that the log keeps.

    Raises:
        ConfigurationError: If one of them is no such number, or `max_staleness` leaves no room for two
            heartbeats.
    """
    if not 0 < heartbeat < math.inf or max_length < 1:
        raise ConfigurationError(
            f"heartbeat and max_length must be positive, got {heartbeat} s and {max_length} messages"
        )
    if max_staleness is not None and not max_staleness >= 2 * heartbeat:
        raise ConfigurationError(
            f"max_staleness must be None or two heartbeats of {heartbeat} s or more, got {max_staleness}"
        )
