"""How many commands a process may send in a second."""

import math
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Final

from greencache.backends.retry import RateLimitedError
from greencache.clock import Clock
from greencache.errors import ConfigurationError
from greencache.forks import after_fork_in_child

__all__ = ["RateLimit"]

_RESERVE: Final = 0.1
"""Part of the bucket that reads leave to all else: what waits to be dropped must get through in the end."""
_READS: Final = frozenset({b"GET", b"MGET", "GET", "MGET"})


class RateLimit:
    """A bucket of tokens, one for each command, which fills evenly and holds those of one second.

    A batch that needs more than there are takes what is missing in advance: whoever comes next waits for it.

    Args:
        per_second: How many commands, 1 or more.
        clock: Tells the time.

    Raises:
        ConfigurationError: For less.
    """

    def __init__(self, per_second: float, clock: Clock) -> None:
        if not (math.isfinite(per_second) and per_second >= 1):
            raise ConfigurationError(f"expected max_calls_per_second of 1 or more, got {per_second!r}")
        self._rate = per_second
        self._now = clock.now
        self._tokens = per_second
        self._counted_at = clock.now()
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()

    def admit(self, commands: Iterable[Sequence[Any]], label: str) -> Sequence[Sequence[Any]]:
        """Return commands that may be sent now.

        Args:
            commands: Each with its name first.
            label: To whom.

        Raises:
            RateLimitedError: They may not; nothing was sent.
        """
        batch = list(commands)
        is_read = all(command[0] in _READS for command in batch)
        if not self._take(len(batch), _RESERVE * self._rate if is_read else 0.0):
            raise RateLimitedError(
                f"Redis {label} is not asked: this process has sent it {self._rate:g} commands in the last "
                "second, which is max_calls_per_second"
            )
        return batch

    def _take(self, count: int, reserve: float) -> bool:
        now = self._now()
        with self._lock:
            self._tokens = min(self._rate, self._tokens + (now - self._counted_at) * self._rate)
            self._counted_at = now
            if self._tokens <= reserve:
                return False
            self._tokens -= count
        return True
