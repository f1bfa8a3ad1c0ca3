"""The three orders that all strategies share: reading downhill and up, putting, and dropping."""

import abc
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from greencache.entry import Entry
from greencache.keys import Pattern
from greencache.strategies.descent import Descent, Dropped
from greencache.tiers.base import Lease
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.memory import MemoryTier
from greencache.tiers.stack import Stack
from greencache.typing import CacheTier, Key

__all__ = ["Strategy"]


class Strategy(abc.ABC):
    """An order of reading and writing.

    Args:
        serve_unproved: What becomes of entries of this host's own tiers while the authority is out of reach,
            and nobody can vouch for them. True: they are served, counted as degraded, so that a source is not
            asked all at once for what it was spared before; a process that alone is cut off may then serve
            what others have invalidated. False: they count as missing, so that in no outage a read is older
            than `max_staleness`.
    """

    serve_unproved = True

    def __init__(self, *, serve_unproved: bool = True) -> None:
        self.serve_unproved = serve_unproved

    def descend(
        self, stack: Stack, keys: Iterable[Key], descent: Descent, *, elector: GuardedTier | None = None
    ) -> None:
        """Look for keys tier by tier, taking a lease wherever one is not found.

        Args:
            stack: The tiers.
            keys: What to look for; L1 has been looked at already.
            descent: Takes what is found, and the leases.
            elector: The tier whose lease decides who of all processes loads what is not found; `None` if
                nobody else can be waited for, or nothing will be loaded.
        """
        missing = list(keys)
        ahead = stack.ahead_of_authority
        if stack.memory is not None:
            descent.leases.append((stack.memory, dict(stack.memory.reserve_many(missing))))
        for tier in stack.shared:
            if tier.pace.is_slow and self._passes_by(stack, tier, elector):
                continue
            # Before the look: while it is under way a gap may be mended, and what it found be outdated.
            is_proved = tier not in ahead or stack.is_heard
            doubted = self._look(tier, missing, descent, stack.memory, is_proved=is_proved)
            if tier is stack.authority and descent.doubted and stack.serves_unproved:
                # Who could have dropped it cannot have said so: deeper tiers are spared.
                descent.serve_doubted(tier.unreached(missing), stack.clock.now())
            missing = descent.lacks(missing)
            if not missing:
                break
            if tier.writable and (elector is not None or tier is not stack.shared[-1]):
                absent = [key for key in missing if key not in doubted]
                self.reserve(tier, absent, descent, elector=elector)
                missing = descent.lacks(missing)

    @staticmethod
    def _passes_by(stack: Stack, tier: GuardedTier, elector: GuardedTier | None) -> bool:
        """Return whether a slow tier is left out; now and then a caller finds out whether it still is."""
        # Asked for first: also one that is not left out is to be found quick again.
        is_probe = tier.pace.allow()
        return not is_probe and tier is not elector and stack.may_be_passed_by(tier)

    @staticmethod
    def _look(
        tier: GuardedTier, keys: list[Key], descent: Descent, memory: MemoryTier | None, *, is_proved: bool
    ) -> Mapping[Key, Entry]:
        """Look into one tier, and return what was found of it that cannot be proved."""
        if not is_proved:
            # What was dropped elsewhere may still be here, where nobody has heard of it.
            fresh, stale = tier.get_many(keys)
            doubted = stale | fresh
            descent.doubt(doubted)
            return doubted
        descent.accept_copies(tier.copies(keys), tier.name, memory)
        missing = descent.lacks(keys)
        if missing:
            fresh, stale = tier.get_many(missing)
            descent.places.update(dict.fromkeys(descent.accept(fresh), tier.name))
            if stale:
                descent.set_aside(stale)
        return {}

    def reserve(
        self, tier: GuardedTier, keys: list[Key], descent: Descent, *, elector: GuardedTier | None
    ) -> None:
        """Add a tier's leases to a descent; at the elector they decide who loads.

        Args:
            tier: The tier whose leases are wanted.
            keys: Keys that were not found in it.
            descent: Takes the leases, and what came into the tier meanwhile.
            elector: The tier where who gets no lease leaves the load to who has it.
        """
        # Before they are granted, since a lease that was long in coming is so much nearer to its end. The
        # elector is asked last, and whoever has waited for others asks anew.
        descent.asked_at = time.monotonic()
        prompt = tier.reserve_and_get(keys) if tier is elector else None
        leases = tier.reserve_many(keys) if prompt is None else prompt[0]
        if leases is None:
            return
        if leases:
            descent.leases.append((tier, leases))
        if tier is elector:
            descent.elsewhere.update(key for key in keys if key not in leases)
            descent.elsewhere.difference_update(leases)
            # Between the look and the lease another process may have filled, and so given up its lease.
            there = {} if not leases else None if prompt is None else prompt[1]
            late, stale = tier.look(list(leases)) if there is None else tier.judged(there)
            late = descent.accept(late)
            descent.confirmed.update(stale)
            descent.give_up(tier, late)

    def reserve_all(
        self, stack: Stack, keys: list[Key], descent: Descent, *, elector: GuardedTier | None
    ) -> None:
        """Take leases in every tier without looking, for a load that replaces what is there."""
        descent.asked_at = time.monotonic()
        if stack.memory is not None:
            descent.leases.append((stack.memory, dict(stack.memory.reserve_many(keys))))
        for tier in stack.shared:
            leases = tier.reserve_many(keys) if tier.writable else None
            if leases is not None:
                descent.leases.append((tier, leases))
                if tier is elector:
                    descent.elsewhere.update(key for key in keys if key not in leases)

    def climb(self, stack: Stack, descent: Descent, entries: Mapping[Key, Entry]) -> None:
        """Fill entries upward wherever their lease is still good.

        Args:
            stack: The tiers.
            descent: Holds the leases; those of these entries are used up.
            entries: What was found or loaded.
        """
        for tier, leases in reversed(descent.leases):
            due = {
                key: stack.kept(tier, entry)
                for key, entry in entries.items()
                if key in leases and (entry.tier is None or tier.name <= entry.tier)
            }
            if due:
                stored = tier.fill_many(due, leases)
                for key in due:
                    del leases[key]
                refused = {key: entry for key, entry in due.items() if not stored or key not in stored}
                # A tier that has not answered has refused nothing.
                if refused and stored is not None:
                    self._forget_others(stack, tier, refused)
                for key in refused:
                    descent.refused.setdefault(key, []).append(tier.name)

    @staticmethod
    def _forget_others(stack: Stack, tier: MemoryTier | GuardedTier, refused: Mapping[Key, Entry]) -> None:
        """Leave nothing else in a tier of this host that has refused what this process is about to serve.

        What is there, or is being brought there with a lease that is good, may be older: where an
        announcement came late, somebody has read it below before what is served was stored there. Whoever
        has seen the newer one would see the older one next.
        """
        # Only what deeper tiers have too: of what is kept here alone, this tier knows best.
        copies = {key: entry for key, entry in refused.items() if tier.name < stack.deepest_of(entry)}
        if isinstance(tier, MemoryTier):
            index = tier.index
            # Mostly another thread has just brought up the same.
            others = [
                key
                for key, entry in copies.items()
                if (there := index.get(key)) is None or there.created != entry.created
            ]
            if others:
                tier.drop_many(others)
        elif copies and tier in stack.ahead_of_authority:
            tier.drop_many(list(copies), is_heard=True)

    def put(self, stack: Stack, entries: Mapping[Key, Entry], deepest: CacheTier | None) -> Dropped:
        """Store entries in all tiers down to one, whatever is there.

        The deepest tier decides the order of two writers; above it an entry is stored only with a lease
        that was taken before, and where that is refused, another writer is at work, nothing is left.

        Args:
            stack: The tiers.
            entries: What to store.
            deepest: The deepest tier that is to keep them; `None` for all.

        Raises:
            EncodeError: If a value cannot be encoded.
        """
        keys = list(entries)
        outcome = Dropped()
        if stack.memory is not None and not stack.shared:
            stack.memory.put_many(entries)  # it is the deepest: it decides, and keeps them as they are
            return outcome
        targets: list[MemoryTier | GuardedTier] = [] if stack.memory is None else [stack.memory]
        for beyond in reversed(stack.shared):
            if not beyond.writable or (deepest is not None and beyond.name > deepest):
                # What lies deeper would come back once the entry has expired.
                outcome.note(beyond, beyond.drop_many(keys))
        targets.extend(t for t in stack.shared if t.writable and (deepest is None or t.name <= deepest))
        with Descent() as descent:
            for tier in targets[:-1]:
                descent.leases.append((tier, dict(tier.reserve_many(keys) or {})))
            self._put_upward(stack, entries, targets, descent, outcome)
        return outcome

    def _put_upward(
        self,
        stack: Stack,
        entries: Mapping[Key, Entry],
        targets: list[MemoryTier | GuardedTier],
        descent: Descent,
        outcome: Dropped,
    ) -> None:
        is_decided = False
        for number, tier in reversed(list(enumerate(targets))):
            kept = {key: stack.kept(tier, entry) for key, entry in entries.items()}
            if is_decided:
                self._follow(tier, kept, descent.leases[number][1], outcome)
            else:
                # A tier that is down cannot decide; the drop that it queues then covers what it holds.
                is_decided = tier.put_many(kept) is not None
                outcome.note(tier, 0 if is_decided else None)

    def _follow(
        self,
        tier: MemoryTier | GuardedTier,
        entries: Mapping[Key, Entry],
        leases: dict[Key, Lease],
        outcome: Dropped,
    ) -> None:
        stored = tier.fill_many(entries, leases) or set()
        for key in stored:
            del leases[key]
        refused = [key for key in entries if key not in stored]
        if refused:
            outcome.note(tier, tier.drop_many(refused))

    @abc.abstractmethod
    def write(
        self, stack: Stack, key: Key, make_entry: Callable[[], Entry], writer: Callable[[], Any]
    ) -> Dropped:
        """Write a value to its source, then bring the tiers in line.

        Args:
            stack: The tiers.
            key: The key.
            make_entry: Makes the entry; called after the writer.
            writer: Writes to the source; what it raises is raised unchanged, and no tier was touched.
        """

    def drop(self, stack: Stack, keys: list[Key], *, is_refresh: bool = False) -> Dropped:
        """Remove entries from the deepest tier upward.

        Whoever still carries an old value up has read it below before the drop there, so its leases above
        were taken before the drops above, which void them.

        Args:
            stack: The tiers.
            keys: What to remove.
            is_refresh: Whether a view has other rows by now, from which nothing need be removed then: that
                was the drop there.
        """
        outcome = Dropped()
        for tier in reversed(stack.above_views if is_refresh else stack.shared):
            outcome.note(tier, tier.drop_many(keys))
        if stack.memory is not None:
            outcome.note(stack.memory, stack.memory.drop_many(keys))
        return outcome

    def drop_matching(self, stack: Stack, pattern: Pattern, *, is_refresh: bool = False) -> Dropped:
        """Remove entries whose keys match, from the deepest tier upward; `is_refresh` as of `drop`."""
        outcome = Dropped()
        for tier in reversed(stack.above_views if is_refresh else stack.shared):
            outcome.note(tier, tier.drop_matching(pattern))
        if stack.memory is not None:
            outcome.note(stack.memory, stack.memory.drop_matching(pattern))
        return outcome
