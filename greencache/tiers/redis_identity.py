"""What tells one Redis server from all others."""

import math

from greencache.backends.redis import RedisManager
from greencache.clock import Clock
from greencache.typing import Seconds

__all__ = ["RedisIdentity"]

_PAUSE: Seconds = 10.0
"""Between two attempts to find out: a server that does not answer costs as long as it may take for an answer,
and who asks may be the listener through which all invalidations come."""


class RedisIdentity:
    """Remembers what the server is called, and asks now and then while that is not known.

    Args:
        manager: Talks to the server.
        clock: Tells when to ask again.
    """

    def __init__(self, manager: RedisManager, clock: Clock) -> None:
        self._manager = manager
        self._clock = clock
        self._name = ""
        self._next_attempt = -math.inf

    def find(self) -> str:
        """Return the server's run id and the number of the database, as when first known, or nothing.

        A later run id, and none, only costs work twice.
        """
        now = self._clock.now()
        if not self._name and now >= self._next_attempt:
            # Before the server is asked: others need not wait for its answer too.
            self._next_attempt = now + _PAUSE
            if run_id := self._manager.check(compare=False).run_id:
                # Two databases of one server share nothing: what one was told, the other does not know.
                self._name = f"{run_id}/{self._manager.database}"
        return self._name
