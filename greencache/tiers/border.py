"""Where entries become bytes: the border of every tier that is a server."""

from collections.abc import Iterable, Mapping

from greencache.codecs import Codec
from greencache.entry import Entry
from greencache.errors import DecodeError, EncodeError
from greencache.events import Event, EventKind, Recorder
from greencache.stats import TierCounters
from greencache.tiers.inspection import Inspection
from greencache.typing import CacheTier, Key

__all__ = ["Border"]


class Border:
    """Exchanges entries for bytes, and keeps what cannot be exchanged out of the tier.

    Args:
        tier: The tier, for the record.
        codec: Writes and reads entries.
        namespace: Bound into every entry together with its key.
        max_size: Largest encoded entry that the tier takes, in bytes.
        counters: The tier's counters.
        recorder: Is told of what could not be exchanged.
    """

    def __init__(
        self,
        tier: CacheTier,
        codec: Codec,
        *,
        namespace: str,
        max_size: int,
        counters: TierCounters,
        recorder: Recorder,
    ) -> None:
        self._tier = tier
        self._codec = codec
        self._prefix = f"{namespace}:"
        self._max_size = max_size
        self.counters = counters
        self._recorder = recorder

    def decode(self, found: Iterable[tuple[Key, bytes | None]]) -> dict[Key, Entry]:
        """Return entries by key. What is not an entry of its key is left out, counted and recorded.

        Args:
            found: Keys with the bytes that were found, or `None`.
        """
        return self._codec.decode_many(self._prefix, found, self._refuse)

    def inspect(self, key: Key, data: bytes) -> Inspection:
        """Return what the bytes hold, uncounted; of an entry that cannot be read, its times at least."""
        name = self._prefix + key
        try:
            return Inspection(entry=self._codec.decode(name, data), size=len(data))
        except DecodeError as error:
            problem = f"cannot be read here: {error}"
        try:
            return Inspection(entry=self._codec.decode_frame(name, data), size=len(data), problem=problem)
        except DecodeError:
            return Inspection(size=len(data), problem=problem)

    def encode_fill(self, entries: Iterable[tuple[Key, Entry]]) -> dict[Key, bytes]:
        """Return the bytes of the entries that a fill can store.

        A fill follows a read, which must not fail for what its tier cannot keep: such an entry is left out.
        """
        encoded: dict[Key, bytes] = {}
        for key, entry in entries:
            try:
                data = self._codec.encode(self._prefix + key, entry)
            except EncodeError as error:
                self.counters.unencodable += 1
                self._record(EventKind.UNENCODABLE, key, error)
                continue
            if self._fits(key, data):
                encoded[key] = data
        return encoded

    def encode_put(self, entries: Mapping[Key, Entry]) -> dict[Key, bytes]:
        """Return the bytes of the entries that a put can store; those too large are left out.

        Raises:
            EncodeError: If one cannot be encoded.
        """
        encoded = {key: self._codec.encode(self._prefix + key, entry) for key, entry in entries.items()}
        return {key: data for key, data in encoded.items() if self._fits(key, data)}

    def _refuse(self, key: Key, error: DecodeError) -> None:
        self.counters.undecodable += 1
        self._record(EventKind.UNDECODABLE, key, error)

    def _fits(self, key: Key, data: bytes) -> bool:
        if len(data) <= self._max_size:
            return True
        self.counters.refused_sizes += 1
        self._record(EventKind.TOO_LARGE, key, f"{len(data)} bytes, the tier takes {self._max_size}")
        return False

    def _record(self, kind: EventKind, key: Key, reason: object) -> None:
        self._recorder.record(Event(kind, self._tier, key, {"reason": str(reason)}))
