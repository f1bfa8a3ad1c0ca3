"""A Redis tier some of whose values are read at replicas.

What is read there is served, and stored in L1 at most. There it is as good as what the primary has: what was
dropped since it was written is dropped from L1 too when this process hears of it, which voids the lease that
it would be stored with; and what was heard of before that lease was taken has been noted, so that nothing
older is found. A tier that processes share is told of a drop by the first of them that knows: what another
one, which does not know yet, has read at a replica would be stored after that, and nobody would drop it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from greencache.backends.redis_replica_reads import ReplicaReads
from greencache.entry import Entry
from greencache.keys import Pattern
from greencache.tiers.base import Lease
from greencache.tiers.redis import RedisTier
from greencache.typing import Key

__all__ = ["ReplicaReadingTier"]


class ReplicaReadingTier(RedisTier):
    """Reads values at replicas where these are proved to be new enough; everything else at primaries.

    Args:
        args: As of `RedisTier`.
        replicas: Reads them.
        options: As of `RedisTier`.
    """

    def __init__(self, *args: Any, replicas: ReplicaReads, **options: Any) -> None:
        super().__init__(*args, **options)
        self._replicas = replicas

    def read_copies(self, keys: Sequence[Key]) -> dict[Key, Entry]:
        """Return what replicas have of keys, for all that this process knows; raises no outage."""
        return self._entries_of(keys, self._replicas.read(self._names.values(keys)))

    def distrust_copies(self, keys: Iterable[Key] | None) -> None:
        """Note that others have changed keys, or `None` for any, before anybody here is told of it."""
        if keys is None:
            self._replicas.note_all()
        else:
            self._replicas.note(self._names.values(list(keys)))

    # Noted when the primary has answered, also with an error: what did it do before that?

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Entry]:
        """Return what is there, and note that it was asked for."""
        wanted = list(keys)
        try:
            return super().get_many(wanted)
        finally:
            self.distrust_copies(wanted)

    def reserve_many(self, keys: Iterable[Key]) -> dict[Key, Lease]:
        """Return leases, and note the keys."""
        wanted = list(keys)
        try:
            return super().reserve_many(wanted)
        finally:
            self.distrust_copies(wanted)

    def reserve_and_get(self, keys: Sequence[Key]) -> tuple[dict[Key, Lease], dict[Key, Entry]]:
        """Do both, and note the keys."""
        try:
            return super().reserve_and_get(keys)
        finally:
            self.distrust_copies(keys)

    def fill_many(self, entries: Mapping[Key, Entry], leases: Mapping[Key, Lease]) -> set[Key]:
        """Store entries whose lease is still good, and note the keys."""
        try:
            return super().fill_many(entries, leases)
        finally:
            self.distrust_copies(entries)

    def put_many(self, entries: Mapping[Key, Entry]) -> set[Key]:
        """Store entries, and note the keys."""
        try:
            return super().put_many(entries)
        finally:
            self.distrust_copies(entries)

    def drop_many(self, keys: Iterable[Key]) -> int:
        """Remove entries, and note the keys."""
        wanted = list(keys)
        try:
            return super().drop_many(wanted)
        finally:
            self.distrust_copies(wanted)

    def drop_matching(self, pattern: Pattern) -> int:
        """Remove the entries whose keys match, and note all keys."""
        try:
            return super().drop_matching(pattern)
        finally:
            self.distrust_copies(None)
