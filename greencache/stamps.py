"""The current stamps of tags and of the namespace, as far as this process knows them.

A stamp stands for "everything under this tag, as of now". Replacing it invalidates all entries that carry
the old one, without a scan and without lists of members.
"""

import math
import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from greencache.bus.base import Bus
from greencache.clock import Clock
from greencache.entry import Stamps
from greencache.forks import after_fork_in_child
from greencache.keys import ANY_TAG
from greencache.tiers.guarded import GuardedTier
from greencache.typing import Seconds

__all__ = ["NAMESPACE", "StampTable"]

NAMESPACE = ""
"""The tag of everything in the namespace."""
_NOBODY = ""
"""A stamp that no entry carries."""
_REFUTED_FOR: Seconds = 1.0
"""How long the authority is not asked again about a stamp that it did not know."""
_WRITERS_ASK_AFTER: Seconds = 60.0
"""How long those who write believe a stamp, although the bus vouches for it."""
_MOST_MADE = 1_000
"""How many stamps are kept to be shared by entries."""


class StampTable:
    """Remembers stamps and asks the authority for those that it does not know or cannot vouch for.

    A stamp is vouched for while the bus is, since a replacement would have been announced, and otherwise
    for `max_age` after it was read.

    The authority may lose a stamp that nobody has replaced: it is evicted, or ends. Whoever comes next
    creates another one, which is announced to nobody, since it outdates nothing. So whoever finds an entry
    with another stamp than the one remembered asks again, and who only writes does so once in a minute.

    Args:
        bus: Tells until when nothing can have been missed; `None` where nobody announces anything.
        clock: Where the time comes from.
        max_age: Seconds that a stamp is believed without the bus.
        on_changed: Is called with stamps that differ from what was known, and with a number that grows with
            each change: a call with a lower one may come later, and is then outdated.
        capacity: How many tags are remembered; more make the table start anew.
    """

    def __init__(
        self,
        bus: Bus | None,
        clock: Clock,
        *,
        max_age: Seconds = 2.0,
        on_changed: Callable[[Mapping[str, str], int], object],
        capacity: int = 100_000,
    ) -> None:
        self.keepers: tuple[GuardedTier, ...] = ()
        """Where stamps are kept: first the authority; without any, only this process has them."""
        self._bus = bus
        self._clock = clock
        self._max_age = max_age
        self._on_changed = on_changed
        self._capacity = capacity
        self._tokens: dict[str, str] = {}
        self._made: dict[tuple[str, ...], Stamps] = {}
        self._confirmed: dict[str, Seconds] = {}
        self._refuted: dict[tuple[str, str], Seconds] = {}
        self._changes = 0
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()

    def keep_at(self, keepers: tuple[GuardedTier, ...]) -> None:
        """Let tiers keep the stamps: first the authority, then those it takes lost ones from."""
        self.keepers = keepers
        if keepers:
            # Another server may have none of them, and then whoever asks first creates others. The bus tells
            # of that too, but later: until then this process would store what is outdated for the others.
            keepers[0].on_successor(self.doubt)

    def current(self, tags: Iterable[str] = ()) -> Stamps:
        """Return the current stamps of the namespace and of tags, to be put on an entry loaded after this."""
        names = (NAMESPACE, *tags)
        made = self._made.get(names)
        if made is not None and self._are_believed((made,), _WRITERS_ASK_AFTER):
            return made
        known = self._known(names)
        return self.shared(tuple((name, known[name]) for name in names))

    def shared(self, stamps: Stamps) -> Stamps:
        """Return one and the same object for equal stamps: most entries of a namespace carry the same."""
        names = tuple(name for name, _ in stamps)
        made = self._made.get(names)
        if made == stamps:
            return made
        # Without the lock: another thread's object is as good, and a table that grows a little further, too.
        if len(self._made) >= _MOST_MADE:
            self._made.clear()
        self._made[names] = stamps
        return stamps

    def before_load(self, tags: Iterable[str]) -> dict[str, str]:
        """Return the stamps of the namespace, of tags, and of any tag at all, before a load begins."""
        return self._known((NAMESPACE, *tags, ANY_TAG))

    def since(self, before: Mapping[str, str], tags: Collection[str]) -> dict[str, str] | None:
        """Return the stamps that tags had at an earlier moment, although nobody had asked for them then.

        Args:
            before: The answer of `before_load` at that moment.
            tags: Tags that are known only now.

        Returns:
            `None` if that cannot be told, because some tag has been invalidated since, or because the
            authority does not answer: what is remembered is from before that moment, and proves nothing.
        """
        if not tags:
            return {}
        # In this order: who invalidates a tag first replaces the stamp of any tag. So if that one is still
        # what it was, the stamps read before it are too.
        stamps = self._asked_anew(list(tags))
        any_tag = self._asked_anew([ANY_TAG])
        return stamps if stamps and any_tag.get(ANY_TAG) == before[ANY_TAG] else None

    def _asked_anew(self, tags: list[str]) -> dict[str, str]:
        """Return what the authority says now of all of these, or nothing at all."""
        return self._read(tags) if self.keepers else self._known(tags)

    def current_among(self, batch: AbstractSet[Stamps]) -> AbstractSet[Stamps]:
        """Return the stamps of those entries of which no stamp has been replaced, as far as can be known.

        During an outage of the authority the last stamps known are believed, since nobody can replace
        them there; a stamp never seen before cannot be proved and is not believed.

        Args:
            batch: The stamps of entries that were read before; at most two questions are asked for all.
        """
        if self._are_believed(batch):
            return batch
        pairs = dict.fromkeys(pair for stamps in batch for pair in stamps)
        tags = dict.fromkeys(tag for tag, _ in pairs)
        doubtful = dict.fromkeys(tag for tag in tags if not self._is_vouched_for(tag))
        known = self.remembered(tags) | self._asked(doubtful)
        differing = [(tag, token) for tag, token in pairs if known.get(tag) != token]
        if not differing:
            return batch
        known |= self._asked(self._contested([pair for pair in differing if pair[0] not in doubtful]))
        outdated = {(tag, token) for tag, token in differing if known.get(tag) != token}
        return {stamps for stamps in batch if outdated.isdisjoint(stamps)}

    def _are_believed(self, batch: Iterable[Stamps], longest: Seconds = math.inf) -> bool:
        """Return whether all are as this process remembers them, and vouched for: the way of most reads."""
        tokens, is_vouched_for = self._tokens, self._is_vouched_for
        for stamps in batch:
            for tag, token in stamps:
                # In this order: what is vouched for is what was remembered before.
                if not is_vouched_for(tag, longest) or tokens.get(tag) != token:
                    return False
        return True

    def _contested(self, pairs: Collection[tuple[str, str]]) -> list[str]:
        """Return the tags of stamps that differ from what is remembered, and were not looked for lately."""
        now = self._clock.now()
        with self._lock:
            refuted = self._refuted
            contested = [pair for pair in pairs if now >= refuted.get(pair, -math.inf) + _REFUTED_FOR]
            if len(refuted) + len(contested) > self._capacity:
                refuted.clear()
            # Before the answer: also one that does not come is not asked for at each read.
            refuted.update(dict.fromkeys(contested, now))
        return list(dict.fromkeys(tag for tag, _ in contested))

    def remembered(self, tags: Iterable[str]) -> dict[str, str]:
        """Return the stamps of tags as this process knows them, asking nobody: they may be outdated."""
        tokens = self._tokens
        return {tag: token for tag in tags if (token := tokens.get(tag)) is not None}

    @staticmethod
    def mint(tags: Iterable[str]) -> dict[str, str]:
        """Return new stamps for tags, in the order in which they are to be replaced.

        They are current once the authority has them. The stamp of any tag comes first: see `since`.
        """
        names = dict.fromkeys(tags)
        if names.keys() - {NAMESPACE}:
            names = {ANY_TAG: None} | names
        return {tag: secrets.token_hex(8) for tag in names}

    def expect(self, stamps: Mapping[str, str]) -> None:
        """Note that stamps were replaced, by this process or another, and forget what carries others.

        Whether these are the current ones only the authority knows: two processes that replace a stamp at
        once may announce it in the other order. So none is believed before it was read there.
        """
        with self._lock:
            self._changes += 1
            for tag in stamps:
                self._tokens.pop(tag, None)
                self._confirmed.pop(tag, None)
            if not self.keepers:
                self._tokens.update(stamps)
            number = self._changes
        # For all that is known here nobody may have a current stamp, until one was read at the authority: a
        # load that has read the one announced may have been outdated by another, announced before.
        self._on_changed(dict.fromkeys(stamps, _NOBODY) if self.keepers else stamps, number)

    def doubt(self) -> None:
        """Vouch for nothing any more, because announcements were missed."""
        with self._lock:
            self._changes += 1
            self._confirmed.clear()

    def _make_room(self, count: int) -> None:
        if len(self._tokens) + count > self._capacity:
            self._tokens.clear()
            self._confirmed.clear()

    def _known(self, tags: Sequence[str]) -> dict[str, str]:
        """Return the stamps of tags, for what is going to be written."""
        read = self._asked([tag for tag in tags if not self._is_vouched_for(tag, _WRITERS_ASK_AFTER)])
        known = self.remembered(tags) | read
        unknown = [tag for tag in tags if tag not in known]
        # No authority, or none within reach: an own stamp is current here, and is taken for outdated
        # wherever the authority says otherwise.
        return known | self._invent(unknown) if unknown else known

    def _asked(self, tags: Collection[str]) -> dict[str, str]:
        """Return what the authority says of tags; nothing where there is none, or none within reach."""
        return self._read(list(tags)) if tags and self.keepers else {}

    def _read(self, tags: list[str]) -> dict[str, str]:
        """Return the stamps that the authority has now, and remember them."""
        asked, changes = self._clock.now(), self._changes
        read = self._read_from(self.keepers, tags)
        if read is None:
            return {}
        with self._lock:
            # What was announced or missed while the answer was under way may be newer than the answer: it
            # is good enough for this call, which began before, but not to be remembered.
            is_latest = self._changes == changes
            changed = {tag: token for tag, token in read.items() if self._tokens.get(tag) != token}
            if is_latest:
                # A number of its own, so that what is told below is newer than what was told before.
                self._changes = number = changes + 1
                self._make_room(len(read))
                self._tokens.update(read)
                self._confirmed.update(dict.fromkeys(read, asked))
        if is_latest and changed:
            self._on_changed(changed, number)
        return read

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
            self._make_room(len(tags))
            for tag in tags:
                self._tokens.setdefault(tag, secrets.token_hex(8))
            invented = {tag: self._tokens[tag] for tag in tags}
            self._changes = number = self._changes + 1
        self._on_changed(invented, number)
        return invented

    def _is_vouched_for(self, tag: str, longest: Seconds = math.inf) -> bool:
        confirmed = self._confirmed.get(tag)
        if confirmed is None:
            return not self.keepers and tag in self._tokens
        now = self._clock.now()
        is_heard = self._bus is not None and now < self._bus.trusted_until
        return now < confirmed + min(longest, math.inf if is_heard else self._max_age)
