"""Which keys of L1 are under which tag."""

from greencache.entry import Entry
from greencache.typing import Key

__all__ = ["TagIndex"]


class TagIndex(dict[str, set[Key]]):
    """The keys under each tag; tags without keys are not in it. Not safe to share: L1 holds its lock."""

    __slots__ = ()

    def add(self, key: Key, entry: Entry) -> None:
        """Enter a key under the tags of its entry."""
        for tag, _ in entry.stamps:
            if tag:
                self.setdefault(tag, set()).add(key)

    def remove(self, key: Key, entry: Entry) -> None:
        """Take a key out from under the tags of its entry."""
        for tag, _ in entry.stamps:
            keys = self.get(tag)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self[tag]
