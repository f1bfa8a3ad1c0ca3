"""What greencache's keys in Redis are called: one place, because every process must agree on it.

    gc:v:{ns:KEY}    an entry
    gc:l:{ns:KEY}    the lease on it; the same hash tag, so both live in one slot of a Cluster
    gc:w:{ns:KEY}    there while somebody waits for a load of the key; in the same slot too
    gc:s:{ns}:TAG    the current stamp of a tag; of the whole namespace when TAG is empty
    gc:b:{ns}        the bus
    gc:n:{ns}        up to where on the bus a host's own Redis has been brought
    gc:h:{ns}        which processes have noted lately how the tiers are
    gc:h:{ns}:HOST:PID:TIER     what one of them has noted about a tier
    gc:d:{ns}        written by whoever waits for a replica to have what came before, gone a second later

No two of them can be equal, whatever users put into keys and tags: the letter behind `gc:` tells the kinds
apart, a namespace has neither colons nor braces, and braces in keys and tags are escaped.
"""

from collections.abc import Sequence

from greencache.keys import Pattern, check_namespace, restore_text, storage_text
from greencache.typing import Key

__all__ = ["RedisNames"]


class RedisNames:
    """The names of one namespace.

    Args:
        namespace: What keeps this cache's keys apart from others in the same server.

    Raises:
        InvalidKeyError: If it is no namespace.
    """

    __slots__ = ("_leases", "_stamps", "_values", "_waiters", "bus", "durable", "histories", "position")

    def __init__(self, namespace: str) -> None:
        name = check_namespace(namespace)
        self._values = f"gc:v:{{{name}:"
        self._leases = f"gc:l:{{{name}:"
        self._waiters = f"gc:w:{{{name}:"
        self._stamps = f"gc:s:{{{name}}}:"
        self.bus = f"gc:b:{{{name}}}".encode()
        self.position = f"gc:n:{{{name}}}".encode()
        self.histories = f"gc:h:{{{name}}}".encode()
        self.durable = f"gc:d:{{{name}}}".encode()

    def value(self, key: Key) -> bytes:
        """Return where the entry of a key is."""
        return f"{self._values}{storage_text(key)}}}".encode()

    def values(self, keys: Sequence[Key]) -> list[bytes]:
        """Return where the entries of keys are."""
        text = "".join(keys)
        if storage_text(text) != text:
            return [self.value(key) for key in keys]
        prefix = self._values
        return [f"{prefix}{key}}}".encode() for key in keys]

    def pair(self, key: Key) -> list[bytes]:
        """Return where the entry of a key is, and where the lease on it."""
        text = storage_text(key)
        return [f"{self._values}{text}}}".encode(), f"{self._leases}{text}}}".encode()]

    def lease(self, key: Key) -> bytes:
        """Return where the lease on a key is."""
        return f"{self._leases}{storage_text(key)}}}".encode()

    def waiters(self, key: Key) -> bytes:
        """Return where it is noted that somebody waits for a load of a key."""
        return f"{self._waiters}{storage_text(key)}}}".encode()

    def stamp(self, tag: str) -> bytes:
        """Return where the stamp of a tag is."""
        return f"{self._stamps}{storage_text(tag)}".encode()

    def history(self, process: str, tier: str) -> bytes:
        """Return where is what a process, "host:pid", has noted about a tier."""
        return self.histories + f":{process}:{tier}".encode()

    def values_like(self, pattern: Pattern) -> bytes:
        """Return a glob for the entries of the keys that match; it may find more."""
        return pattern.glob(self._values, "}").encode()

    def leases_like(self, pattern: Pattern) -> bytes:
        """Return a glob for the leases on the keys that match; it may find more."""
        return pattern.glob(self._leases, "}").encode()

    def key(self, name: bytes) -> Key | None:
        """Return the key that an entry or a lease belongs to, or `None` if no key of ours is called so."""
        try:
            text = name.decode()
        except UnicodeDecodeError:
            return None
        # Both prefixes have the same length.
        if not text.startswith((self._values, self._leases)) or not text.endswith("}"):
            return None
        return restore_text(text[len(self._values) : -1])
