"""What all rules share: who acts, what it may be told, and what loaders do."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from greencache import CacheManager, CacheTier, InvalidationPending, current_load

from .ledger import KEYS, PATTERNS, TAGS, Ledger, PromiseBrokenError, Version
from .world import MAX_STALENESS, Member, World

DEFAULT_TTL = 3_600.0
WHO = st.integers(0, 2)
KEY = st.sampled_from(KEYS)
SOME_KEYS = st.lists(KEY, min_size=1, max_size=3, unique=True)


class SourceDownError(Exception):
    """The source cannot be read."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of a load; what is `None` is not given."""

    ttl: float | None = None
    stale_ttl: float | None = None
    retry_after: float | None = None
    negative_ttl: float | None = None
    refresh_ahead: float | None = None

    def arguments(self) -> dict[str, Any]:
        """Return those that are given."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


OPTIONS = st.builds(
    Options,
    ttl=st.sampled_from([None, 1.0, 5.0]),
    stale_ttl=st.sampled_from([None, 10.0]),
    retry_after=st.sampled_from([None, None, 2.0]),
    negative_ttl=st.sampled_from([None, None, 3.0]),
    refresh_ahead=st.sampled_from([None, None, 0.5]),
)


@dataclasses.dataclass(frozen=True)
class Interruption:
    """What happens in the middle of a load: the source changes, and somebody forgets that key, or nobody.

    Args:
        who: Who forgets.
        how: By key, pattern, tag, or everything.
    """

    who: int
    how: str


INTERRUPTIONS = st.none() | st.builds(
    Interruption, who=WHO, how=st.sampled_from(["key", "pattern", "tag", "clear", "nothing"])
)


class Machine(RuleBasedStateMachine):
    """Two caches, and later a third, against a ledger of what they may serve."""

    make_world: ClassVar[Callable[[], World]]

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).make_world()
        self.ledger = Ledger(MAX_STALENESS)

    @initialize()
    def begin(self) -> None:
        """Begin with two."""
        self.world.join()
        self.world.join(shares_host=True)

    def teardown(self) -> None:
        """Stop the processes."""
        self.world.close()

    @invariant()
    def counts_agree(self) -> None:
        """In L1, hits and misses are all lookups."""
        for member in self.world.members:
            stats = member.cache.get_stats().tiers[CacheTier.L1]
            if stats.hits + stats.misses != member.lookups:
                raise PromiseBrokenError(
                    f"expected {member.lookups} lookups, got {stats.hits} hits and {stats.misses} misses"
                )

    def member(self, who: int) -> Member:
        """Return a process."""
        return self.world.members[who % len(self.world.members)]

    def look(self, who: int, *keys: str) -> tuple[Member, list[int], float]:
        """Return who looks keys up, the oldest versions that it may get, and when it begins."""
        member, now = self.member(who), self.world.now
        member.lookups += len(keys)
        heard, is_up = member.heard, self.world.is_up
        floors = [
            self.ledger.floor(member.number, key, heard=heard, now=now, is_provable=is_up) for key in keys
        ]
        return member, floors, now

    def acknowledge(self, who: int, keys: Iterable[str], call: Callable[[CacheManager], object]) -> bool:
        """Make a cache forget keys, note what that means to whom, and return whether nothing is pending."""
        member = self.member(who)
        names = list(keys)
        try:
            call(member.cache)
        except InvalidationPending:
            self.ledger.forget(member.number, names, None, self.world.now)
            return False
        self.ledger.flush(member.number, member.published, self.world.now)
        self.ledger.forget(member.number, names, member.published, self.world.now)
        return True

    def change(self, keys: Iterable[str], *, really: bool) -> None:
        """Let the source have something else, or not."""
        for key in keys if really else ():
            self.ledger.change(key)

    # -- the loader --------------------------------------------------------------------------------------

    @staticmethod
    def tags(key: str) -> list[str]:
        """Return the tags that the caller knows."""
        return [tag for tag in TAGS[key] if tag != "late"]

    def read_source(
        self, keys: Sequence[str], options: Options, interruption: Interruption | None, *, fails: bool
    ) -> dict[str, Version]:
        """Do what a loader does."""
        now = self.world.now
        if fails:
            for key in keys:
                self.ledger.revive(key, now + (options.retry_after or 0.0))
            raise SourceDownError
        if "b:1" in keys:
            load = current_load()
            (load if len(keys) == 1 else load.of("b:1")).tags.add("late")
        read = {key: self.ledger.current(key) for key in keys}
        for version in read.values():
            ttl = DEFAULT_TTL if options.ttl is None else options.ttl
            if version.value is None and options.negative_ttl is not None:
                ttl = options.negative_ttl
            self.ledger.store(version, now, ttl, options.stale_ttl or 0.0)
        if interruption is not None:
            self._interrupt(keys[0], interruption)
        return read

    def _interrupt(self, key: str, interruption: Interruption) -> None:
        self.ledger.change(key)
        pattern = next(text for text, keys in PATTERNS.items() if key in keys)
        ways: dict[str, Callable[[CacheManager], object]] = {
            "key": lambda cache: cache.invalidate(key),
            "pattern": lambda cache: cache.invalidate(pattern=pattern),
            "tag": lambda cache: cache.invalidate(tags=TAGS[key][-1:]),
            "clear": lambda cache: cache.clear(),
        }
        if interruption.how in ways:
            self.acknowledge(interruption.who, [key], ways[interruption.how])
