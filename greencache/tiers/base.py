"""What a tier is: somewhere entries are kept, and leases that guard each fill."""

import dataclasses
import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from greencache.backends.redis_report import RedisHealth
from greencache.entry import Entry
from greencache.keys import Pattern
from greencache.stats import TierCounters
from greencache.tiers.inspection import Inspection
from greencache.typing import CacheTier, Key, Seconds
from greencache.upkeep import Chore

__all__ = [
    "LEASE_TTL",
    "Identified",
    "Installable",
    "LandedHandler",
    "Landing",
    "Lease",
    "Leasing",
    "Refreshable",
    "Refreshed",
    "Remembering",
    "StampSeed",
    "StampStore",
    "Status",
    "Tier",
    "TierHealth",
    "TierUsage",
]

Lease: TypeAlias = int | str
"""Proof that a key was absent, or stale, and was neither dropped nor written since; unique per fill."""


LEASE_TTL: Seconds = 5.0
"""Seconds after which a lease ends by itself: how long a process that died delays the others."""

LandedHandler: TypeAlias = Callable[[list[Key]], None]
"""Is told of keys that somebody elsewhere waits for, and whose load has ended here."""


class Status(enum.StrEnum):
    """How a tier is doing."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TierHealth:
    """What a health check of one tier found.

    Args:
        status: Whether it answers.
        latency_ms: Milliseconds that the answer took; `None` when there was none.
        error: Why it is not up; empty when it is.
        server: What a Redis says of itself.
        detail: What any server says of itself, as plain types.
    """

    status: Status
    latency_ms: float | None = None
    error: str = ""
    server: RedisHealth | None = None
    detail: Mapping[str, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class TierUsage:
    """What a tier holds of this cache's namespace.

    Args:
        entries: How many entries.
        size: Bytes, as far as the tier knows them.
    """

    entries: int
    size: int


class Tier(Protocol):
    """Somewhere entries are kept.

    A tier speaks entries, never bytes. Absence is absence from the answer, never an exception. An outage
    is `TierUnavailableError`, from every method but `close`. All methods may be called from any thread.
    """

    @property
    def name(self) -> CacheTier:
        """Which of the four tiers it is."""
        ...

    @property
    def writable(self) -> bool:
        """Whether entries can be stored in it; a materialized view only reads."""
        ...

    @property
    def ttl(self) -> Seconds | None:
        """Seconds that it keeps an entry when no ttl was given; `None` for ever."""
        ...

    @property
    def counters(self) -> TierCounters:
        """What happened in it; the tier counts what it stores, refuses and removes."""
        ...

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Entry]:
        """Return what is there, stale entries included, entries that are gone left out."""
        ...

    def reserve_many(self, keys: Iterable[Key]) -> dict[Key, Lease]:
        """Return leases, whether or not there is an entry; a key left out is leased to somebody else."""
        ...

    def fill_many(self, entries: Mapping[Key, Entry], leases: Mapping[Key, Lease]) -> set[Key]:
        """Store entries whose lease is still good, which uses it up, and return the keys stored.

        A key without a lease is not stored. An entry too large for the tier is not stored, and counted.
        """
        ...

    def release_many(self, leases: Mapping[Key, Lease]) -> None:
        """Give up leases that will not be used, so that others need not wait for their end."""
        ...

    def put_many(self, entries: Mapping[Key, Entry]) -> set[Key]:
        """Store entries whatever is there, void all leases on their keys, and return the keys stored.

        An entry too large for the tier is not stored; what was there under its key is removed.
        """
        ...

    def drop_many(self, keys: Iterable[Key]) -> int:
        """Remove entries, void all leases on their keys, and return how many entries there were."""
        ...

    def drop_matching(self, pattern: Pattern) -> int:
        """Remove the entries whose keys match, void leases likewise, and return how many entries."""
        ...

    def scan_keys(self, pattern: Pattern) -> Iterator[Sequence[Key]]:
        """Yield the keys of entries that match, batch by batch. For tools: changes nothing.

        A key may come twice. What is stored or removed meanwhile may be among them or not.
        """
        ...

    def inspect_many(self, keys: Iterable[Key]) -> dict[Key, Inspection]:
        """Return what is there of each key, leases too. For tools: changes and counts nothing."""
        ...

    def check(self) -> TierHealth:
        """Ask the tier how it is doing. Raises nothing: an outage is a finding."""
        ...

    def usage(self) -> TierUsage:
        """Return what the tier holds of this namespace; may cost a scan."""
        ...

    def close(self) -> None:
        """Give back connections and memory; may be called twice."""
        ...


class Refreshed(Protocol):
    """What became of an attempt to refresh a view."""

    @property
    def is_done(self) -> bool:
        """Whether this attempt has refreshed it; otherwise another one is under way."""
        ...

    @property
    def keys(self) -> tuple[Key, ...]:
        """Keys that have other rows by now."""
        ...

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns of keys that may have."""
        ...


StampSeed: TypeAlias = Callable[[list[str]], Mapping[str, str]]
"""Returns what a deeper tier says are the stamps of tags, as far as it can be reached."""


@runtime_checkable
class Identified(Protocol):
    """A tier that can tell its server from all others."""

    def identity(self) -> str:
        """Return what no other server is called, or nothing; may cost a call now and then."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A tier that keeps for its host up to where on the bus it has been brought."""

    def recall(self) -> bytes | None:
        """Return what was remembered last; `None` if that is not known."""
        ...

    def remember(self, position: bytes, known: bytes | None) -> None:
        """Remember a position, if what is remembered is still what was recalled last."""
        ...


@runtime_checkable
class Leasing(Protocol):
    """A tier whose leases end by themselves."""

    @property
    def lease_ttl(self) -> Seconds:
        """Seconds after which they do."""
        ...

    def extend_many(self, leases: Mapping[Key, Lease]) -> set[Key]:
        """Let leases last for another full life, and return the keys whose lease is still good."""
        ...


@runtime_checkable
class Landing(Protocol):
    """A tier that knows whether somebody elsewhere waits for a key that is filled or given up here."""

    on_landed: LandedHandler | None

    def note_waiting(self, keys: Iterable[Key]) -> None:
        """Note for a while that somebody waits for these keys.

        Who looks for them once more after that misses nothing: what has landed before is there, and whoever
        lands later finds the note.
        """
        ...


@runtime_checkable
class Installable(Protocol):
    """A tier that needs something on its server, such as tables."""

    def install(self) -> None:
        """Make what it needs, unless it is there."""
        ...


@runtime_checkable
class Kept(Protocol):
    """A tier for which something has to be done now and then."""

    @property
    def chores(self) -> Sequence[Chore]:
        """What."""
        ...


@runtime_checkable
class Refreshable(Protocol):
    """A tier whose contents are made from a source by refreshing them."""

    @property
    def views(self) -> tuple[str, ...]:
        """The names of what it can refresh."""
        ...

    def refresh(self, view: str) -> Refreshed:
        """Make the contents of a view anew, in one process at a time."""
        ...


@runtime_checkable
class StampStore(Protocol):
    """A tier that can be the authority for stamps."""

    def read_stamps(self, tags: Iterable[str], seed: StampSeed | None = None) -> dict[str, str]:
        """Return the current stamp of each tag; a missing one is created, atomically.

        Args:
            tags: What to read.
            seed: Returns the stamps that missing ones are created with, as far as it knows them.
        """
        ...

    def replace_stamps(self, stamps: Mapping[str, str]) -> None:
        """Make these the current stamps of their tags."""
        ...

    def find_stamps(self, tags: Iterable[str]) -> dict[str, str]:
        """Return the current stamps of the tags that have one, and create none."""
        ...
