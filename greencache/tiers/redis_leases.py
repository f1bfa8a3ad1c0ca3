"""Leases in a Redis: a random token beside a value, which whoever asks first gets."""

from collections.abc import Iterable, Sequence
from typing import Any

from greencache.backends.redis import RedisManager
from greencache.backends.redis_names import RedisNames
from greencache.tiers.base import Lease
from greencache.tiers.owed import OwedLeases
from greencache.tiers.redis_inspection import chunks
from greencache.tiers.tokens import new_batch
from greencache.typing import Key

__all__ = ["RedisLeases"]


class RedisLeases:
    """Grants leases.

    Args:
        manager: Talks to the server.
        names: What things are called there.
        lease_ms: Milliseconds after which a lease ends by itself.
        owed: Is told of leases that may have been granted without anybody hearing of it.
    """

    def __init__(self, manager: RedisManager, names: RedisNames, lease_ms: int, owed: OwedLeases) -> None:
        self._manager = manager
        self._owed = owed
        self._names = names
        self._lease_ms = lease_ms

    def reserve(self, keys: Iterable[Key]) -> dict[Key, Lease]:
        """Return leases on the keys that nobody else has a lease on."""
        tokens = _new_tokens(keys)
        with self._owed.unless_answered(tokens):
            # Where a node is away, a lease is good nowhere, nobody else has one, and all load for themselves.
            return self._granted(tokens, self._manager.execute_many(self._commands(tokens), partial=True))

    def reserve_and_read(self, keys: Sequence[Key]) -> tuple[dict[Key, Lease], list[bytes | None]]:
        """Do the same, and return the bytes of all values, read after that: in one round trip.

        The server executes commands of one connection in their order.
        """
        tokens = _new_tokens(keys)
        reads = [(b"MGET", *chunk) for chunk in chunks(self._names.values(keys))]
        with self._owed.unless_answered(tokens):
            replies = self._manager.execute_many([*self._commands(tokens), *reads])
            found: list[bytes | None] = [data for reply in replies[len(tokens) :] for data in reply]
            return self._granted(tokens, replies[: len(tokens)]), found

    def _commands(self, tokens: dict[Key, str]) -> list[tuple[Any, ...]]:
        lease, lease_ms = self._names.lease, self._lease_ms
        return [(b"SET", lease(key), token, b"NX", b"PX", lease_ms) for key, token in tokens.items()]

    def _granted(self, tokens: dict[Key, str], replies: Sequence[Any]) -> dict[Key, Lease]:
        refused = [key for key, reply in zip(tokens, replies, strict=True) if not reply]
        if refused:
            # A SET NX that was sent twice is refused by its own first arrival: read back whose lease it is.
            holders = self._manager.execute_many([(b"GET", self._names.lease(key)) for key in refused])
            for key, holder in zip(refused, holders, strict=True):
                if holder != tokens[key].encode():
                    del tokens[key]
        return dict(tokens)


def _new_tokens(keys: Iterable[Key]) -> dict[Key, str]:
    batch = new_batch()
    return {key: f"{batch}-{number:x}" for number, key in enumerate(dict.fromkeys(keys))}
