"""The codec: entries as bytes, and back, or a precise refusal."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias, get_args

from greencache.clock import Clock, SystemClock
from greencache.codecs import envelope
from greencache.codecs.common import common_heads, open_common
from greencache.codecs.compressors import Compressor, compressor_by_id
from greencache.codecs.envelope import HAS_DIGEST, IS_ABSENT, IS_SIGNED, TIERS, Header, are_times
from greencache.codecs.serializers import MessagePackSerializer, Serializer, readers_beside
from greencache.codecs.signer import Signer
from greencache.entry import Entry
from greencache.errors import ConfigurationError, DecodeError, EncodeError
from greencache.typing import MISSING, UNSET, Key, Seconds

__all__ = ["Checksum", "Codec"]

Checksum: TypeAlias = Literal["sha256", "crc32"]
"""What is written beside the CRC-32 of everything: the payload's SHA-256, or with "crc32", which is cheaper,
nothing. The digest is the value's provenance, and is compared whenever it is there."""


class Codec:
    """Turns entries into bytes that say what they are, whose they are and whether they are whole.

    Safe to share between threads. The times of an entry travel on the wall clock, so the clocks of the hosts
    must agree as well as the times to live are meant to be exact. Without a signer, whoever can write to the
    server can make up values; a signature prevents that, but not that an older entry of a key is put back.

    Args:
        serializer: Writes the values; MessagePack if not given. Entries that MessagePack or JSON wrote are
            read whichever of them it is.
        compressor: Makes payloads smaller, where it does; entries of the other compressors are read too.
        compress_above: Smallest payload worth compressing, in bytes.
        max_size: Bound on an encoded entry, and on what one may inflate to, in bytes.
        signer: Signs what is written; what is not signed with one of its keys is then refused.
        checksum: What guards a payload; either kind is read.
        clock: Where the time comes from.

    Raises:
        ConfigurationError: If the serializer needs a signer and there is none, or a number is out of range.
    """

    __slots__ = (
        "_clock",
        "_compress_above",
        "_compressor",
        "_flags",
        "_heads",
        "_max_size",
        "_readers",
        "_signer",
        "serializer",
    )

    def __init__(
        self,
        serializer: Serializer | None = None,
        *,
        compressor: Compressor | None = None,
        compress_above: int = 1024,
        max_size: int = 64 * 1024 * 1024,
        signer: Signer | None = None,
        checksum: Checksum = "sha256",
        clock: Clock | None = None,
    ) -> None:
        self.serializer = serializer or MessagePackSerializer()
        _check(self.serializer, signer, checksum, compress_above, max_size)
        self._readers = readers_beside(self.serializer)
        self._heads = common_heads(self.serializer.id)
        self._compressor = compressor
        self._compress_above = compress_above
        self._max_size = max_size
        self._signer = signer
        self._flags = (HAS_DIGEST if checksum == "sha256" else 0) | (IS_SIGNED if signer else 0)
        self._clock = clock or SystemClock()

    def encode(self, key: str, entry: Entry) -> bytes:
        """Return the bytes of an entry.

        Args:
            key: The key with its namespace; only under this key can the bytes be decoded.
            entry: What to write.

        Raises:
            EncodeError: If the value, or another part, cannot be written, and where in the value that is.
        """
        is_absent = entry.kept is MISSING
        plain = self._dump(None if is_absent else entry.plain)
        compressor, stored = self._compress(plain)
        try:
            data = envelope.seal(
                flags=self._flags | (IS_ABSENT if is_absent else 0),
                serializer=self.serializer.id,
                compressor=compressor,
                tier=entry.tier or 0,
                times=self._times(entry),
                stamps=entry.stamps,
                key=key.encode(),
                plain=plain,
                stored=stored,
            )
        except UnicodeEncodeError:
            raise EncodeError("keys, tags and stamps are UTF-8; one has lone surrogates") from None
        if self._signer is not None:
            data = self._signer.sign(data)
        if len(data) > self._max_size:
            raise EncodeError(f"the entry takes {len(data)} bytes, this codec reads up to {self._max_size}")
        return data

    def shift(self) -> Seconds:
        """Return how far the wall clock is ahead of the clock that entry times are in, as it is now."""
        return self._clock.wall() - self._clock.now()

    def decode_many(
        self,
        prefix: str,
        found: Iterable[tuple[Key, bytes | None]],
        on_refused: Callable[[Key, DecodeError], object],
    ) -> dict[Key, Entry]:
        """Return the entries of those bytes that `decode` would not refuse.

        Args:
            prefix: What goes before each key.
            found: Keys with any bytes, or `None`.
            on_refused: Is told of the others.
        """
        shift, own = self.shift(), self.serializer
        heads, loads, is_open = self._heads, own.loads, self._signer is None
        entries: dict[Key, Entry] = {}
        for key, data in found:
            if data is None:
                continue
            entry = None
            try:
                if is_open and len(data) <= self._max_size:
                    entry = open_common(data, (prefix + key).encode(), shift, heads, loads)
            except Exception:
                entry = None  # what it was is told by:
            try:
                entries[key] = self.decode(prefix + key, data, shift) if entry is None else entry
            except DecodeError as error:
                on_refused(key, error)
        return entries

    def decode(self, key: str, data: bytes, shift: Seconds | None = None) -> Entry:
        """Return the entry that the bytes were made from.

        Args:
            key: The key with its namespace.
            data: Any bytes.
            shift: What `shift` returned, for who decodes many at once; asked for if not given.

        Raises:
            DecodeError: If they are not an entry of this key that this codec may read; the reason is one of
                "size", "magic", "version", "signature", "checksum", "key", "header", "compressor",
                "serializer", "type", "depth" and "payload". No other exception, whatever the bytes.
        """
        try:
            header, digest, stored = self._opened(key, data)
            value = self._load(header, digest, stored)
            if header.flags & IS_ABSENT:
                value = MISSING
            return self._entry(header, data, value, self.shift() if shift is None else shift)
        except DecodeError:
            raise
        except RecursionError as error:
            raise DecodeError("nested deeper than can be read here", "depth") from error
        except Exception as error:
            # Nothing was wrong with the envelope, so what breaks is the serializer, the compressor or the
            # constructor of a standard type. Each has errors of its own, and these may quote the value.
            raise DecodeError(f"the payload cannot be read: {type(error).__name__}", "payload") from error

    def decode_frame(self, key: str, data: bytes) -> Entry:
        """Return the entry with `UNSET` for its value, which need not be one that can be read here.

        Raises:
            DecodeError: As of `decode`, but for the reasons that concern the payload.
        """
        header, _, _ = self._opened(key, data)
        try:
            return self._entry(header, data, UNSET, self.shift())
        except UnicodeDecodeError:
            raise DecodeError("the stamps are not UTF-8", "header") from None

    def _opened(self, key: str, data: bytes) -> tuple[Header, bytes, memoryview]:
        size = len(data)
        if size > self._max_size:
            raise DecodeError(f"{size} bytes, this codec reads up to {self._max_size}", "size")
        envelope.check_magic(data)
        end = size if self._signer is None and not data[4] & IS_SIGNED else self._verified(data)
        return envelope.open_envelope(data, end, key.encode())

    def _entry(self, header: Header, data: bytes, value: Any, shift: Seconds) -> Entry:
        _, _, _, _, tier, created, fresh_until, stale_until, due_at, cost, _, _, stamps_size, _, _ = header
        if tier >= len(TIERS) or not are_times(created, fresh_until, stale_until, due_at, cost):
            raise DecodeError("a tier or a time that no entry has", "header")
        return Entry(
            value,
            fresh_until - shift,
            stale_until - shift,
            due_at=due_at - shift,
            created=created,
            stamps=envelope.read_stamps(data, header) if stamps_size else (),
            tier=TIERS[tier],
            cost=cost,
        )

    def _verified(self, data: bytes) -> int:
        is_signed = data[4] & IS_SIGNED
        if self._signer is not None:
            if not is_signed:
                raise DecodeError("not signed, and this codec reads only what is", "signature")
            return self._signer.verify(data)
        raise DecodeError("signed, and this codec has no signer to verify it", "signature")

    def _load(self, header: Header, digest: bytes, stored: memoryview) -> Any:
        _, _, serializer, compressor, _, _, _, _, _, _, _, _, _, stored_size, size = header
        if size > self._max_size:
            raise DecodeError(f"inflates to {size} bytes, this codec reads {self._max_size}", "size")
        reader = self._readers.get(serializer)
        if reader is None:
            raise DecodeError(
                f"written by serializer {serializer}, which this codec does not read", "serializer"
            )
        plain = stored
        if compressor:
            plain = memoryview(compressor_by_id(compressor).decompress(stored, size))
        elif stored_size != size:
            raise DecodeError(f"a payload of {stored_size} bytes, expected {size}", "size")
        if digest and hashlib.sha256(plain).digest() != digest:
            raise DecodeError("the SHA-256 of the payload does not match: damaged", "checksum")
        return reader.loads(plain)

    def _times(self, entry: Entry) -> tuple[float, float, float, float, float]:
        shift = self.shift()
        fresh_until, stale_until, due_at = entry.fresh_until, entry.stale_until, entry.due_at
        if entry.kept is MISSING:
            due_at = fresh_until  # always due is no time, and known without
        times = entry.created, fresh_until + shift, stale_until + shift, due_at + shift, entry.cost
        if not are_times(*times):
            raise EncodeError(
                f"the times of an entry must be numbers above -inf, its cost finite; got {times}"
            )
        return times

    def _dump(self, value: Any) -> bytes:
        try:
            plain = self.serializer.dumps(value)
        except EncodeError:
            raise
        except Exception as error:
            # A property, a mapping that changes under our eyes, a recursion: whatever user code raises here.
            name = type(value).__qualname__
            raise EncodeError(
                f"{self.serializer.name} cannot encode a value of type {name}: {error!r:.200}"
            ) from error
        if len(plain) > self._max_size:
            raise EncodeError(f"the value takes {len(plain)} bytes, this codec reads up to {self._max_size}")
        return plain

    def _compress(self, plain: bytes) -> tuple[int, bytes]:
        if self._compressor is not None and len(plain) > self._compress_above:
            packed = self._compressor.compress(plain)
            if len(packed) < len(plain):
                return self._compressor.id, packed
        return 0, plain


def _check(
    serializer: Serializer, signer: Signer | None, checksum: Checksum, compress_above: int, max_size: int
) -> None:
    if serializer.needs_signature and signer is None:
        raise ConfigurationError(
            f"serializer {serializer.name!r} runs code from the bytes it reads, so it needs a signer: "
            "Codec(..., signer=Signer([key])), or take 'msgpack'"
        )
    if checksum not in get_args(Checksum):
        raise ConfigurationError(f"checksum must be 'sha256' or 'crc32', got {checksum!r}")
    if compress_above < 0 or max_size < 1:
        raise ConfigurationError(
            f"compress_above must be 0 or more, max_size 1 or more, got {compress_above!r} and {max_size!r}"
        )
