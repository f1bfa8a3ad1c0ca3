"""What scripts do with an entry in one step, done in several while a Cluster moves it to another node.

A node runs no script over keys of which it has some and another node has the others; for as long as that
lasts, and where somebody has stopped halfway that is for ever, each of these commands is about one key.
"""

import itertools
from collections.abc import Sequence
from typing import Final

from greencache.backends.redis import RedisManager
from greencache.backends.redis_scripts import Left
from greencache.backends.retry import TransientError
from greencache.backends.scripts import load_script
from greencache.tiers.tokens import new_batch

__all__ = ["GIVEN_UP", "RedisSteps"]

GIVEN_UP: Final = -1
"""Instead of the reply of a fill: nothing is stored, and the lease, where it is ours, is still there."""
_ATTEMPTS: Final = 3


class RedisSteps:
    """Does what the scripts of the same names do; the arguments are theirs.

    Args:
        manager: Talks to the nodes.
        lease_ms: Milliseconds after which a lease ends by itself.
    """

    def __init__(self, manager: RedisManager, lease_ms: int) -> None:
        self._manager = manager
        self._lease_ms = lease_ms
        self._fill = load_script("fill_moving")
        self._release = load_script("release")

    def fill(self, keys: Sequence[bytes], args: Sequence[bytes | str | int], left: Left) -> int:
        """Store an entry if its lease is good and on the same node; else that would take more than a step."""
        # Between a look at the lease on one node and a write on another one, somebody might drop the key.
        value, lease, waiters = keys
        if not self._manager.run_script(self._fill, [value], [*args, lease], deadline=left()):
            return GIVEN_UP
        return 1 + int(self._manager.execute(b"DEL", waiters, deadline=left()))

    def release(self, keys: Sequence[bytes], args: Sequence[bytes | str | int], left: Left) -> int:
        """Give a lease up, then look who waits: who comes in between finds the key free."""
        lease, waiters = keys
        if not self._manager.run_script(self._release, [lease], args, deadline=left()):
            return 0
        return 1 + int(self._manager.execute(b"DEL", waiters, deadline=left()))

    def put(self, keys: Sequence[bytes], args: Sequence[bytes | str | int], left: Left) -> int:
        """Store an entry while nobody else can fill."""
        (value, lease), (data, lifetime) = keys, args
        token = self._claim(lease, left)
        life = () if lifetime == 0 else (b"PX", lifetime)
        self._manager.execute(b"SET", value, data, *life, deadline=left(), repeatable=False)
        if not self._give_back(lease, token, left):
            # To store it again could overwrite what is newer.
            raise TransientError("others have written to a key while its slot was moved", may_have_run=True)
        return 1

    def drop(self, keys: Sequence[bytes], _: Sequence[object], left: Left) -> int:
        """Remove an entry while nobody else can fill."""
        value, lease = keys
        removed = 0
        for _attempt in range(_ATTEMPTS):
            token = self._claim(lease, left)
            removed |= int(self._manager.execute(b"UNLINK", value, deadline=left()))
            if self._give_back(lease, token, left):
                return removed
        raise TransientError("others write to a key while its slot is moved", may_have_run=True)

    def _claim(self, lease: bytes, left: Left) -> str:
        """Void the lease on a key, and hold one until it is given back.

        Meanwhile no load can store anything: neither one that is under way, nor one that begins now and may
        have seen the entry that is to go. No token is sent twice: the late arrival of one that was granted
        before would hide that others have voided the lease since. Arriving late, one that is nobody's voids
        what is held by then, which whoever holds it finds out, and delays others until it ends.
        """
        for attempt in itertools.count(1):
            token = new_batch()
            claim = (b"SET", lease, token, b"PX", self._lease_ms)
            try:
                self._manager.execute(*claim, deadline=left(), repeatable=False)
            except TransientError as failure:
                if attempt == _ATTEMPTS or not failure.may_have_run:
                    raise
            else:
                break
        return token

    def _give_back(self, lease: bytes, token: str, left: Left) -> bool:
        """Return whether the lease was held all the time: it had not ended, nor had others voided it."""
        return bool(self._manager.run_script(self._release, [lease], [token], deadline=left()))
