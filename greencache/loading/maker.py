"""From what a loader returned, and said of it, to the entries that are stored."""

import dataclasses
import types
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from greencache.entry import Entry, Stamps, State, judge
from greencache.errors import InvalidArgumentError, UnsupportedFunctionError
from greencache.loading.load import Load, is_loading, loads_under_way
from greencache.loading.witness import Witness
from greencache.options import EntryOptions
from greencache.stamps import StampTable
from greencache.tiers.stack import Stack
from greencache.typing import MISSING, NOT_MODIFIED, UNSET, Key, Seconds

if TYPE_CHECKING:
    from greencache.isolation import Keeper

__all__ = ["EntryMaker", "Loaded", "Prospect"]


@dataclasses.dataclass(slots=True)
class Loaded:
    """What came of a load.

    Args:
        stored: Entries to be stored and served.
        passed: Entries to be served and not to be stored.
        confirmed: Keys of stale values that the loader has confirmed.
        reason: Why some are not to be stored.
        is_private: Whether all of it is for the caller alone, whose transaction sees what is past for others.
    """

    stored: dict[Key, Entry] = dataclasses.field(default_factory=dict)
    passed: dict[Key, Entry] = dataclasses.field(default_factory=dict)
    confirmed: set[Key] = dataclasses.field(default_factory=set)
    reason: str = "declined by the loader"
    is_private: bool = False


@dataclasses.dataclass(slots=True)
class Prospect:
    """What must be known before a load begins.

    Args:
        load: The load.
        stale: Entries that the loader may confirm.
        stamps: The stamps current now, of all tags that are known now, and of any tag at all.
    """

    load: Load
    stale: Mapping[Key, Entry]
    stamps: Mapping[str, str]


class EntryMaker:
    """Makes entries.

    Args:
        stack: Tells the ttl of the deepest tier, and the time.
        stamps: The current stamps.
        keeper: Keeps callers from changing what others read; `None` where they are trusted not to.
        witness: Knows whether what was read at some position of a database may be stored, if anybody does.
    """

    def __init__(
        self,
        stack: Stack,
        stamps: StampTable,
        keeper: "Keeper | None" = None,
        witness: Witness | None = None,
    ) -> None:
        self._stack = stack
        self._stamps = stamps
        self._keeper = keeper
        self._witness = witness

    def make(self, value: Any, options: EntryOptions, stamps: Stamps, cost: Seconds = 0.0) -> Entry:
        """Return a new entry for a value that is at least as new as its stamps.

        Raises:
            UnsupportedFunctionError: If the value is a coroutine, which can be awaited only once.
            IsolationError: If it is to be copied, and cannot be.
        """
        if isinstance(value, types.CoroutineType):
            value.close()
            raise UnsupportedFunctionError("expected a value, got a coroutine; the loader must not be async")
        clock = self._stack.clock
        now = clock.now()
        if value is None and options.negative_ttl is not UNSET:
            options = dataclasses.replace(options, ttl=options.negative_ttl)
        due, fresh, stale = options.lifetime(self._stack.default_ttl(options.tier), cost)
        kind, kept = (Entry, value) if self._keeper is None else self._keeper.keep(value)
        return kind(
            kept,
            now + fresh,
            now + stale,
            due_at=now + due,
            created=clock.wall(),
            stamps=stamps,
            tier=options.tier,
            cost=cost,
        )

    def under_way(self) -> set[Key]:
        """Return the keys that the caller is itself loading into this cache, further out."""
        if not is_loading():
            return set()
        return {key for load in loads_under_way() if load.owner is self for key in load.keys}

    def prepare(self, keys: list[Key], options: EntryOptions, stale: Mapping[Key, Entry]) -> Prospect:
        """Return what must be known before a load of these keys begins.

        A tag that is invalidated while the load runs has another stamp afterwards.
        """
        shown = self._shown(keys, stale) if stale else {}
        tags = dict.fromkeys((*options.tags, *(tag for entry in shown.values() for tag in entry.tags)))
        load = Load(keys, {k: entry.value for k, entry in shown.items()}, self._stack.clock.now, owner=self)
        return Prospect(load, shown, self._stamps.before_load(tags))

    def _shown(self, keys: list[Key], stale: Mapping[Key, Entry]) -> dict[Key, Entry]:
        """Return the stale entries that a loader may confirm."""
        now = self._stack.clock.now()
        known = {key: stale[key] for key in keys if key in stale}
        return {
            key: entry
            for key, entry in known.items()
            if entry.kept is not MISSING and judge(entry, now) is not State.GONE
        }

    def finish(self, prospect: Prospect, values: object, options: EntryOptions) -> Loaded:
        """Return the entries for what a loader has returned.

        Raises:
            InvalidArgumentError: If the loader did not return a mapping, or confirmed what it was not shown.
            UnsupportedFunctionError: If a value is a coroutine.
        """
        load = prospect.load
        if not isinstance(values, Mapping):
            raise InvalidArgumentError(
                f"expected a loader of many keys to return a mapping, got {type(values).__name__}"
            )
        added = {tag for key in load.keys for tag in load.tags_of(key)} - prospect.stamps.keys()
        late = self._stamps.since(prospect.stamps, added)
        stamps = {**prospect.stamps, **late} if late else prospect.stamps
        is_proved = late is not None
        loaded = Loaded() if is_proved else Loaded(reason="a tag was invalidated meanwhile")
        loaded.confirmed.update(key for key in load.keys if values.get(key, MISSING) is NOT_MODIFIED)
        for key in load.keys:
            entry = self._entry(key, values.get(key, MISSING), prospect, stamps, options)
            if entry is not None:
                is_kept = load.is_stored(key) and (is_proved or added.isdisjoint(load.tags_of(key)))
                (loaded.stored if is_kept else loaded.passed)[key] = entry
        return self._proved(loaded, load) if load.positions or load.sees_uncommitted else loaded

    def _proved(self, loaded: Loaded, load: Load) -> Loaded:
        """Return what came of a load, with nothing to be stored that was outdated when it was read.

        Asked after the leases on the way down were taken: what is dropped from now on voids them.
        """
        is_fixed = any(position.is_fixed for position in load.positions)
        if load.is_uncommitted:
            outdated, reason = set(loaded.stored), "read in a transaction that has changed something"
        else:
            # Also of what its loader has declined it must be known whether others may have it.
            asked = loaded.stored | loaded.passed if is_fixed else loaded.stored
            outdated, reason = self._outdated(asked, load), "dropped since the snapshot it was read at"
        refused = outdated & loaded.stored.keys()
        return dataclasses.replace(
            loaded,
            stored={key: entry for key, entry in loaded.stored.items() if key not in refused},
            passed=loaded.passed | {key: loaded.stored[key] for key in refused},
            reason=reason if refused else loaded.reason,
            is_private=is_fixed and bool(outdated),
        )

    def _outdated(self, entries: Mapping[Key, Entry], load: Load) -> set[Key]:
        if self._witness is None or not entries:
            return set()
        named = {key: [tag for tag, _ in entry.stamps] for key, entry in entries.items()}
        return self._witness.outdated(load.positions, named)

    def _entry(
        self,
        key: Key,
        value: Any,
        prospect: Prospect,
        stamps: Mapping[str, str],
        options: EntryOptions,
    ) -> Entry | None:
        load = prospect.load
        tags: Iterable[str] = (*options.tags, *load.tags_of(key))
        if value is NOT_MODIFIED:
            if key not in prospect.stale:
                raise InvalidArgumentError("got NOT_MODIFIED for a key whose loader was shown no stale value")
            value, tags = prospect.stale[key].plain, (*tags, *prospect.stale[key].tags)
        if value is MISSING:
            # Nothing is kept of a key that does not exist, unless a time for that was given.
            if not options.negative_ttl:
                return None
            options = dataclasses.replace(options, ttl=options.negative_ttl, stale_ttl=0.0)
        elif (ttl := load.ttl_of(key)) is not UNSET:
            options = dataclasses.replace(options, ttl=ttl, negative_ttl=UNSET)
        # Of a tag that cannot be proved no stamp is known; its entry is not stored.
        names = dict.fromkeys(("", *tags))
        carried = self._stamps.shared(tuple((n, stamps[n]) for n in names if n in stamps))
        return self.make(value, options, carried, load.cost)
