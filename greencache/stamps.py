"""The current stamps of tags and of the namespace, as far as this process knows them.

A stamp stands for "everything under this tag, as of now". Replacing it invalidates all entries that carry
the old one, without a scan and without lists of members.
"""

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from greencache.bus.base import Bus
from greencache.clock import Clock
from greencache.entry import Stamps
from greencache.forks import after_fork_in_child
from greencache.tiers.guarded import GuardedTier
from greencache.typing import Seconds

__all__ = ["NAMESPACE", "StampTable"]

NAMESPACE = ""
"""The tag of everything in the namespace."""


class StampTable:
    """Remembers stamps and asks the authority for those that it does not know or cannot vouch for.

    A stamp is vouched for while the bus is, since a replacement would have been announced, and otherwise
    for `max_age` after it was read.

    Args:
        bus: Tells until when nothing can have been missed.
        clock: Where the time comes from.
        max_age: Seconds that a stamp is believed without the bus.
        on_learned: Is called with stamps that differ from what was known.
        capacity: How many tags are remembered; more make the table start anew.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        *,
        max_age: Seconds = 2.0,
        on_learned: Callable[[Mapping[str, str]], object],
        capacity: int = 100_000,
    ) -> None:
        self.keepers: tuple[GuardedTier, ...] = ()
        """Where stamps are kept: first the authority; without any, only this process has them."""
        self._bus = bus
        self._clock = clock
        self._max_age = max_age
        self._on_learned = on_learned
        self._capacity = capacity
        self._tokens: dict[str, str] = {}
        self._confirmed: dict[str, Seconds] = {}
        self._doubts = 0
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()

    def current(self, tags: Iterable[str] = ()) -> Stamps:
        """Return the current stamps of the namespace and of tags, to be put on an entry loaded after this."""
        names = (NAMESPACE, *tags)
        known = self._known(names, ask=True)
        return tuple((name, known[name]) for name in names)

    def are_current(self, stamps: Stamps) -> bool:
        """Return whether none of these has been replaced, as far as can be known.

        During an outage of the authority the last stamps known are believed, since nobody can replace
        them there; a stamp never seen before cannot be proved and is not believed.
        """
        known = self._known([tag for tag, _ in stamps], ask=False)
        return all(known.get(tag) == token for tag, token in stamps)

    @staticmethod
    def mint(tags: Iterable[str]) -> dict[str, str]:
        """Return new stamps for tags; they are current once the authority has them."""
        return {tag: secrets.token_hex(8) for tag in tags}

    def learn(self, stamps: Mapping[str, str]) -> None:
        """Take stamps as current, because the authority, the bus or this process says so."""
        confirmed = self._clock.now()
        with self._lock:
            changed = {tag: token for tag, token in stamps.items() if self._tokens.get(tag) != token}
            if len(self._tokens) + len(changed) > self._capacity:
                self._tokens.clear()
                self._confirmed.clear()
            self._tokens.update(stamps)
            self._confirmed.update(dict.fromkeys(stamps, confirmed))
        if changed:
            self._on_learned(changed)

    def doubt(self) -> None:
        """Vouch for nothing any more, because announcements were missed."""
        with self._lock:
            self._doubts += 1
            self._confirmed.clear()

    def _known(self, tags: Sequence[str], *, ask: bool) -> dict[str, str]:
        doubtful = [tag for tag in tags if not self._is_vouched_for(tag)]
        read = self._read(doubtful) if doubtful and self.keepers else {}
        tokens = self._tokens
        known = {tag: tokens[tag] for tag in tags if tag in tokens} | read
        unknown = [tag for tag in tags if tag not in known]
        if ask and unknown:
            # No authority, or none within reach: an own stamp is current here, and is taken for outdated
            # wherever the authority says otherwise.
            known |= self._invent(unknown)
        return known

    def _read(self, tags: list[str]) -> dict[str, str]:
        """Return the stamps that the authority has now; nothing of those learned anew meanwhile."""
        doubts, before = self._doubts, {tag: self._tokens.get(tag) for tag in tags}
        read = self._read_from(self.keepers, tags) or {}
        with self._lock:
            # What was learned while the answer was under way may be newer than the answer.
            usable = {tag: token for tag, token in read.items() if self._tokens.get(tag) == before[tag]}
            is_vouched_for = self._doubts == doubts
        if is_vouched_for:
            # A doubt since then means that announcements may be missed between the answer and the moment
            # from which all are heard: good enough for this call, not to be remembered.
            self.learn(usable)
        return usable

    def _read_from(self, keepers: Sequence[GuardedTier], tags: list[str]) -> dict[str, str] | None:
        """Return the stamps that the first keeper has, what it lacks taken from those below it.

        A Redis that comes back empty so takes its stamps from PostgreSQL, and what is stored there stays
        valid. An old stamp cannot return by this: replacing one begins at the deepest keeper.
        """
        first, *others = keepers
        if not others:
            return first.read_stamps(tags)
        return first.read_stamps(tags, lambda missing: self._read_from(others, missing) or {})

    def _invent(self, tags: list[str]) -> dict[str, str]:
        with self._lock:
            for tag in tags:
                self._tokens.setdefault(tag, secrets.token_hex(8))
            return {tag: self._tokens[tag] for tag in tags}

    def _is_vouched_for(self, tag: str) -> bool:
        confirmed = self._confirmed.get(tag)
        if confirmed is None:
            return not self.keepers and tag in self._tokens
        now = self._clock.now()
        return now < self._bus.trusted_until or now < confirmed + self._max_age
