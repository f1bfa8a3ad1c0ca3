"""Leases in a table of PostgreSQL: a random token in the row of a key, which whoever asks first gets."""

from collections.abc import Iterable, Sequence
from typing import Final

from greencache.backends.postgres import PostgresManager, PostgresSession
from greencache.keys import restore_text, storage_text
from greencache.tiers.base import Lease
from greencache.tiers.tokens import new_tokens
from greencache.typing import Key, Seconds

__all__ = ["PostgresLeases"]

_CHUNK: Final = 1_000
"""Keys in one statement: few enough that no other waits long for its rows."""


class PostgresLeases:
    """Grants leases.

    Args:
        manager: Talks to the server.
        namespace: What keeps this cache's keys apart from others in the same table.
        lease_ttl: Seconds after which a lease ends by itself.
    """

    def __init__(self, manager: PostgresManager, namespace: str, lease_ttl: Seconds) -> None:
        self._manager = manager
        self._namespace = namespace
        self._lease_ttl = lease_ttl

    def reserve(self, keys: Iterable[Key]) -> dict[Key, Lease]:
        """Return leases on the keys that nobody else has a lease on."""
        self._manager.ensure_schema()
        wanted = list(dict.fromkeys(keys))
        leases: dict[Key, Lease] = {}
        for start in range(0, len(wanted), _CHUNK):
            leases |= self._reserve([storage_text(key) for key in wanted[start : start + _CHUNK]])
        return leases

    def _reserve(self, stored: Sequence[str]) -> dict[Key, Lease]:
        query = self._manager.statement("entries/reserve")
        former: list[Lease] = []

        def attempt(session: PostgresSession) -> dict[Key, Lease]:
            # Never the same twice: what was sent before a connection was lost may still run, at any time.
            tokens = new_tokens(stored)
            params = {"keys": stored, "leases": list(tokens.values()), "former": list(former)}
            former.extend(tokens.values())
            rows = session.fetch(query, {"namespace": self._namespace, "ttl": self._lease_ttl, **params})
            return {restore_text(key): tokens[key] for (key,) in rows}

        return self._manager.call(attempt)
