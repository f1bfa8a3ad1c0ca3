"""Looking through a Redis tier, which is slow and changes nothing."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from greencache.backends.redis import RedisManager
from greencache.backends.redis_names import RedisNames
from greencache.keys import Pattern
from greencache.tiers.base import TierUsage
from greencache.tiers.border import Border
from greencache.tiers.inspection import HeldLease, Inspection
from greencache.typing import Key

__all__ = ["CHUNK", "RedisInspection", "chunks"]

T = TypeVar("T")

CHUNK: Final = 500
"""Names in one command: few enough that no other client waits long for it."""
_EVERYTHING = Pattern("*")


class RedisInspection:
    """Finds out what a server holds, without a word of it being noted anywhere here.

    The server itself notes that a key was read, as for any client.

    Args:
        manager: Talks to the server.
        names: Where entries and leases are.
        border: Exchanges entries for bytes.
    """

    def __init__(self, manager: RedisManager, names: RedisNames, border: Border) -> None:
        self._manager = manager
        self._names = names
        self._border = border

    def scan_names(self, glob: bytes, pattern: Pattern) -> Iterator[Sequence[bytes]]:
        """Yield the names of matching keys; one twice if the server resizes its table meanwhile.

        Args:
            glob: Finds them on the server, and perhaps more.
            pattern: What the keys must match.
        """
        for names in self._manager.scan(glob, count=CHUNK):
            matching = [
                name for name in names if (key := self._names.key(name)) is not None and pattern.matches(key)
            ]
            yield from chunks(matching)

    def scan_keys(self, pattern: Pattern) -> Iterator[Sequence[Key]]:
        """Yield the keys of entries that match; costs a scan of the whole server."""
        if pattern.literal is not None:
            if self._manager.execute(b"EXISTS", self._names.value(pattern.literal)):
                yield [pattern.literal]
            return
        for names in self.scan_names(self._names.values_like(pattern), pattern):
            yield [key for name in names if (key := self._names.key(name)) is not None]

    def inspect_many(self, keys: Iterable[Key]) -> dict[Key, Inspection]:
        """Return what is there of each key."""
        wanted = list(dict.fromkeys(keys))
        pairs = [(self._names.value(key), self._names.lease(key)) for key in wanted]
        commands = [
            command for value, lease in pairs for command in ((b"MGET", value, lease), (b"PTTL", lease))
        ]
        replies = iter(self._manager.execute_many(commands))
        return {
            key: self._inspection(key, held, left)
            for key, held, left in zip(wanted, replies, replies, strict=True)
        }

    def usage(self) -> TierUsage:
        """Return what the server holds of this namespace; costs a scan of the whole server."""
        entries = size = 0
        for names in self.scan_names(self._names.values_like(_EVERYTHING), _EVERYTHING):
            lengths = self._manager.execute_many([(b"STRLEN", name) for name in names])
            # Zero is an entry that has ended since the scan saw it.
            entries += sum(1 for length in lengths if length)
            size += sum(lengths)
        return TierUsage(entries, size)

    def _inspection(self, key: Key, held: Sequence[bytes | None], left: int) -> Inspection:
        data, token = held
        found = Inspection() if data is None else self._border.inspect(key, data)
        if token is None or left <= 0:
            return found
        return found.leased(HeldLease.of_token(token.decode(errors="replace"), left / 1000))


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield items in parts that fit into one command."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
