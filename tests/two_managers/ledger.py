"""What the source has had, and which of it a process may serve at a given time."""

import dataclasses
import enum
from collections.abc import Iterable
from typing import Any

KEYS = ("a:1", "a:2", "b:1")
TAGS = {"a:1": ("x",), "a:2": ("x", "y"), "b:1": ("y", "late")}
"""What each key is always stored under; "late" is a tag that loaders add themselves."""
PATTERNS = {"a:*": ("a:1", "a:2"), "*:1": ("a:1", "b:1"), "b?1": ("b:1",)}


class PromiseBrokenError(AssertionError):
    """A cache has served what it must not, or lost count."""

    raised = 0
    """How often, so far."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        type(self).raised += 1


class Kind(enum.Enum):
    """What the source may say of a key."""

    TEXT = "text"
    NONE = "none"
    ABSENT = "absent"


@dataclasses.dataclass
class Version:
    """What the source had of a key from some moment on.

    Args:
        number: Grows with each change of any key.
        kind: What it said.
        value: What a cache says for it.
    """

    number: int
    kind: Kind
    value: Any
    fresh_until: float = 0.0
    """Until when some entry that holds it may be fresh."""
    stale_until: float = 0.0
    """Until when some entry that holds it may be there."""


@dataclasses.dataclass
class Forgetting:
    """A call by which a process made the cache forget what was older than the source is.

    Args:
        process: Who.
        floors: The oldest version that may be served afterwards, by key.
        number: Of its announcement; `None` while it waits for a tier that is away.
        at: When it was acknowledged, or has reached that tier since.
        known_to: Processes that have begun since, with nothing that is older.
    """

    process: int
    floors: dict[str, int]
    number: int | None
    at: float
    known_to: set[int] = dataclasses.field(default_factory=set)


class Ledger:
    """The source, and what was made to be forgotten.

    Args:
        max_staleness: Seconds after which a process that hears nothing has nothing to serve unproved.
    """

    def __init__(self, max_staleness: float) -> None:
        self._max_staleness = max_staleness
        self._numbers = 0
        self.versions: dict[str, list[Version]] = {key: [] for key in KEYS}
        self.forgettings: list[Forgetting] = []
        for key in KEYS:
            self.change(key)

    # -- the source --------------------------------------------------------------------------------------

    def change(self, key: str, kind: Kind = Kind.TEXT) -> Version:
        """Let the source have something else."""
        self._numbers += 1
        value = f"{key} {self._numbers}" if kind is Kind.TEXT else None
        self.versions[key].append(Version(self._numbers, kind, value))
        return self.current(key)

    def upcoming(self, key: str) -> str:
        """Return what the source will have of a key if that is changed next."""
        return f"{key} {self._numbers + 1}"

    def current(self, key: str) -> Version:
        """Return what the source has."""
        return self.versions[key][-1]

    @staticmethod
    def store(version: Version, now: float, ttl: float, stale_ttl: float) -> None:
        """Note that an entry with a version may be stored now."""
        version.fresh_until = max(version.fresh_until, now + ttl)
        version.stale_until = max(version.stale_until, now + ttl + stale_ttl)

    def revive(self, key: str, until: float) -> None:
        """Note that stale entries may count as fresh again."""
        for version in self.versions[key]:
            version.fresh_until = max(version.fresh_until, min(until, version.stale_until))

    # -- forgetting --------------------------------------------------------------------------------------

    def forget(self, process: int, keys: Iterable[str], number: int | None, at: float) -> None:
        """Note that a process has made the cache forget what was older than the source is."""
        floors = {key: self.current(key).number for key in keys}
        self.forgettings.append(Forgetting(process, floors, number, at))

    def flush(self, process: int, number: int, at: float) -> None:
        """Note that what has waited in a process has reached the tier, and was announced."""
        for each in self.forgettings:
            if each.process == process and each.number is None:
                each.number, each.at = number, at

    def begin(self, process: int) -> None:
        """Note that a process has begun, which had nothing of its own."""
        for each in self.forgettings:
            if each.number is not None:
                each.known_to.add(process)

    def floor(self, process: int, key: str, *, heard: int, now: float, is_provable: bool) -> int:
        """Return the oldest version that a process may serve.

        Args:
            process: Who.
            key: Of which key.
            heard: The number of the last announcement that it has heard, with all before.
            now: When it begins to look.
            is_provable: Whether what it cannot prove can be looked up where that is known.
        """
        floor = 0
        for each in self.forgettings:
            is_known = each.process == process or process in each.known_to
            if each.number is not None:
                is_known |= each.number <= heard
                is_known |= is_provable and now >= each.at + self._max_staleness
            if is_known:
                floor = max(floor, each.floors.get(key, 0))
        return floor

    # -- judging -----------------------------------------------------------------------------------------

    def require_servable(self, key: str, value: Any, floor: int, since: float, *, stale: bool) -> None:
        """Raise `PromiseBrokenError` unless a value may be served.

        Args:
            key: What was asked for.
            value: What came.
            floor: The oldest version that may be served.
            since: When the call began.
            stale: Whether a stale value will do.
        """
        same = [each for each in self.versions[key] if each.value == value]
        if not same:
            raise PromiseBrokenError(f"{value!r} was never the value of {key}")
        young = [each for each in same if each.number >= floor]
        if not young:
            raise PromiseBrokenError(
                f"{key} is {value!r}, but what is older than version {floor} was forgotten; the source has"
                f" {self.current(key).value!r}"
            )
        if not any(since < (each.stale_until if stale else each.fresh_until) for each in young):
            raise PromiseBrokenError(f"{key} is {value!r}, which is too old: {young}, it is {since}")

    def may_be_absent(self, key: str, floor: int) -> bool:
        """Return whether the source may have said that there is no such key."""
        return any(each.kind is Kind.ABSENT and each.number >= floor for each in self.versions[key])
