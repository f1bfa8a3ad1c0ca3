"""Keys whose entries are not evicted."""

from greencache.errors import InvalidArgumentError
from greencache.typing import Key

__all__ = ["Pins"]

_LARGEST_PART = 2  # with more than half of L1 out of its reach, no policy can do its work
_MOST_WANTED = 10_000


class Pins:
    """Which keys are wanted pinned, and which are: as many as have room in half of L1.

    Whoever calls a method holds the lock of L1.

    Args:
        size: Bytes of L1.
        max_entries: How many entries L1 holds at most; `None` for as many as fit.
    """

    def __init__(self, size: int, max_entries: int | None) -> None:
        self._size = size // _LARGEST_PART
        self._max_entries = None if max_entries is None else max_entries // _LARGEST_PART
        self.wanted: set[Key] = set()
        """Keys that are to be pinned."""
        self._held: dict[Key, int] = {}
        self.weight = 0
        """Bytes that the pinned entries take."""

    def __contains__(self, key: Key) -> bool:
        return key in self._held

    def want(self, key: Key) -> None:
        """Note that a key is to be pinned whenever it is there and has room.

        Raises:
            InvalidArgumentError: If too many are.
        """
        if len(self.wanted) >= _MOST_WANTED and key not in self.wanted:
            raise InvalidArgumentError(
                f"expected at most {_MOST_WANTED:,} pinned keys, got one more: unpin some, or make L1 larger"
            )
        self.wanted.add(key)

    def unwant(self, key: Key) -> None:
        """Note that a key is as any other."""
        self.wanted.discard(key)

    def takes(self, key: Key, weight: int) -> bool:
        """Return whether a key is to be pinned, and has room."""
        if key not in self.wanted or self.weight - self.weight_of(key) + weight > self._size:
            return False
        return self._max_entries is None or key in self._held or len(self._held) < self._max_entries

    def weight_of(self, key: Key) -> int:
        """Return what a pinned entry weighs; 0 if the key is not pinned."""
        return self._held.get(key, 0)

    def hold(self, key: Key, weight: int) -> None:
        """Pin a key whose entry is there."""
        self.weight += weight - self.weight_of(key)
        self._held[key] = weight

    def release(self, key: Key) -> bool:
        """Pin a key no longer, since its entry goes or is to be evicted as any other; whether it was."""
        weight = self._held.pop(key, None)
        self.weight -= weight or 0
        return weight is not None

    def clear(self) -> None:
        """Release all, whose entries have gone; they are wanted still."""
        self._held.clear()
        self.weight = 0
