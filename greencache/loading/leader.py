"""What the leader of a flight does: descend, load, climb, and wait for other processes."""

import random
from collections.abc import Callable, Mapping

from greencache.entry import Entry, State, is_due_early, judge
from greencache.loading.keeper import Held, LeaseKeeper
from greencache.loading.look import Look
from greencache.loading.maker import EntryMaker
from greencache.loading.notes import Notes
from greencache.loading.steps import Call, Failed, LoaderError, Pause, Steps
from greencache.options import EntryOptions
from greencache.strategies import Descent, Strategy
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.memory import MemoryTier
from greencache.tiers.stack import Stack
from greencache.typing import MISSING, UNSET, CacheTier, Key, Seconds
from greencache.waiters import Waiters

__all__ = ["Leader"]

_FIRST_PAUSE: Seconds = 0.001
_LONGEST_PAUSE: Seconds = 0.05
"""Where nobody can tell who waits that a load has ended."""
_LOOKS_A_SECOND = 2_000
"""Keys that one who waits looks at without being told to: with many keys, it looks more rarely."""


class Leader:
    """Finds keys in the tiers below L1, or loads them, in steps.

    Args:
        stack: The tiers.
        strategy: The order in which they are read and filled.
        maker: Makes the entries of what was loaded.
        notes: Take down what became of reads.
        patience: Seconds to wait for a load of another process before loading oneself; likewise the longest
            time for which the leases of a load are extended.
        draw: Returns a random number of at least 0 and less than 1.
    """

    def __init__(
        self,
        stack: Stack,
        strategy: Strategy,
        maker: EntryMaker,
        *,
        notes: Notes,
        patience: Seconds,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.notes = notes
        self.waiters = Waiters()
        self.keeper = LeaseKeeper(patience)
        self._stack = stack
        self._strategy = strategy
        self._maker = maker
        self._patience = patience
        self._draw = draw
        self.now = stack.clock.now

    def find(self, keys: list[Key], look: Look) -> dict[Key, Entry]:
        """Return what the tiers below L1 have, promoted on the way.

        Args:
            keys: What to look for.
            look: What L1 has of them but could not vouch for.
        """
        with Descent() as descent:
            descent.hold(look.stale, look.doubted)
            self._strategy.descend(self._stack, keys, descent)
            self.notes.looked(keys, descent)
            self._strategy.climb(self._stack, descent, descent.found)
        return descent.found | descent.served if descent.served else descent.found

    def find_or_load(
        self,
        keys: list[Key],
        options: EntryOptions,
        look: Look,
        *,
        meanwhile: Callable[[Mapping[Key, Entry]], object],
        takes_absent: bool = True,
    ) -> Steps[dict[Key, Entry]]:
        """Return what the tiers below L1 have, and load the rest.

        Args:
            keys: What to look for.
            options: How loaded values are to be kept.
            look: What L1 has of them but could not serve as fresh, seen by the leader of their flights.
            meanwhile: Is told, before anything is loaded, what may be served by whoever cannot wait.
            takes_absent: Whether it is an answer that a loader of many has left a key out.

        Raises:
            LoaderError: What the loader raised, if there is no stale value to serve instead.
        """
        with Descent(takes_absent=takes_absent) as descent:
            descent.hold(look.stale, look.doubted)
            elector = self._stack.elector(options.tier)
            self._strategy.descend(self._stack, keys, descent, elector=elector)
            if elector is None and self._stack.memory is not None and look.stale:
                # As a look at an elector would be, this one is after the lease was taken.
                descent.confirmed.update(self._stack.memory.get_many(look.stale))
            self.notes.found(descent)
            meanwhile(descent.stale)
            # The lease on a key that the caller is itself loading is its own; it would wait for itself.
            descent.elsewhere -= self._maker.under_way()
            mine = [key for key in descent.lacks(keys) if key not in descent.elsewhere]
            loaded = yield from self._load(mine, options, descent)
            # Filled before others are waited for: they may be waiting for this.
            self._strategy.climb(self._stack, descent, descent.found | loaded)
            self.notes.refused(descent)
            others = [key for key in descent.lacks(keys) if key not in loaded and key in descent.elsewhere]
            if elector is not None and others:
                loaded |= yield from self._await_others(others, options, descent, elector)
        return descent.found | descent.served | loaded

    def reload(self, due: Mapping[Key, Entry], options: EntryOptions) -> Steps[dict[Key, Entry]]:
        """Load keys although they are there, and store what was loaded unless it was dropped meanwhile.

        Args:
            due: What was found of them, and is to be replaced.
            options: How loaded values are to be kept.

        Returns:
            What was loaded; nothing of a key that another process is loading, or has just loaded.
        """
        with Descent() as descent:
            elector = self._stack.elector(options.tier)
            self._strategy.reserve_all(self._stack, list(due), descent, elector=elector)
            mine = [key for key in due if key not in descent.elsewhere]
            if elector is not None and mine:
                there, stale = elector.look(mine)
                descent.confirmed.update(stale | there)
                descent.set_aside(stale)
                # Another process may have been at it since this one looked.
                descent.found = {k: e for k, e in there.items() if not self._is_still_due(e, due[k], options)}
                descent.give_up(elector, descent.found)
                descent.set_aside(there)
            elif self._stack.memory is not None:
                descent.confirmed.update(self._stack.memory.get_many(mine))
                descent.set_aside(descent.confirmed)
            loaded = yield from self._load(descent.lacks(mine), options, descent, is_awaited=False)
            self._strategy.climb(self._stack, descent, descent.found | loaded)
            self.notes.refused(descent)
        return loaded

    def is_due(self, entry: Entry, options: EntryOptions) -> bool:
        """Return whether an entry that can be served should be reloaded in the background."""
        now = self.now()
        if judge(entry, now) is not State.DUE or entry.kept is MISSING:
            return False
        beta = options.beta
        return beta is UNSET or not beta or is_due_early(entry, now, beta, self._draw())

    def _is_still_due(self, entry: Entry, seen: Entry, options: EntryOptions) -> bool:
        if entry.created != seen.created:
            return self.is_due(entry, options)
        # The same that was found due before: the dice of XFetch are not thrown again, which would make early
        # reloads as rare as the square of what they are to be. But a failed reload may have put it off.
        return judge(entry, self.now()) is State.DUE

    # -- loading ---------------------------------------------------------------------------------------

    def _load(
        self, keys: list[Key], options: EntryOptions, descent: Descent, *, is_awaited: bool = True
    ) -> Steps[dict[Key, Entry]]:
        """Return what was loaded to be stored; what is only to be served goes into the descent."""
        if not keys:
            return {}
        # Before the load begins, so that what is invalidated meanwhile is known to be.
        prospect = self._maker.prepare(keys, options, descent.confirmed)
        try:
            with self.keeper.keeping(_leases_on(keys, descent), descent.asked_at):
                answer = yield Call(prospect.load)
        finally:
            self.notes.called(prospect)
        if is_uncommitted := prospect.load.has_begun and prospect.load.is_uncommitted:
            prospect.load.withhold()
        if isinstance(answer, Failed):
            self.notes.failed(prospect, answer.error)
            # What fails in a transaction that has changed something need not fail for others.
            if options.retry_after is not UNSET and not is_uncommitted:
                self._revive(keys, options.retry_after, options.tier, descent)
            if is_awaited:
                self._serve_stale(keys, descent, answer.error)
            return {}
        loaded = self._maker.finish(prospect, answer, options)
        if loaded.is_private:
            prospect.load.withhold()
        self.notes.loaded(prospect, loaded)
        descent.served.update(loaded.passed)
        return loaded.stored

    def _serve_stale(self, keys: list[Key], descent: Descent, error: Exception) -> None:
        now = self.now()
        for key in keys:
            entry = descent.stale.get(key)
            if entry is None or entry.kept is MISSING or judge(entry, now) is State.GONE:
                raise LoaderError(error)
            descent.served[key] = entry
        self.notes.stale(keys, type(error).__name__)

    def _revive(
        self, keys: list[Key], retry_after: Seconds, deepest: CacheTier | None, descent: Descent
    ) -> None:
        """Let entries count as fresh for a while, in every tier, unless they were dropped meanwhile."""
        held = [
            (t, leases) for t, leases in descent.leases if leases and (deepest is None or t.name <= deepest)
        ]
        tier, leases = held[-1] if held else (None, {})
        is_own = isinstance(tier, MemoryTier) or tier in self._stack.ahead_of_authority
        if tier is None or (is_own and not self._stack.is_heard):
            return
        # Looked at again: what was found on the way down may have been dropped before its lease was taken,
        # and must not come back. What is there now can be dropped only together with the lease.
        wanted = [key for key in keys if key in leases]
        if isinstance(tier, MemoryTier):
            there = tier.get_many(wanted)
        else:
            fresh, stale = tier.look(wanted)
            there = fresh | stale
        until = self.now() + retry_after
        self._strategy.climb(self._stack, descent, {key: e.revived(until) for key, e in there.items()})

    # -- waiting for others ----------------------------------------------------------------------------

    def _await_others(
        self, keys: list[Key], options: EntryOptions, descent: Descent, elector: GuardedTier
    ) -> Steps[dict[Key, Entry]]:
        """Return what other processes were loading, or load it after them if they give up."""
        now = self.now()
        for key in keys:
            entry = descent.stale.get(key)
            if entry is not None and entry.kept is not MISSING and judge(entry, now) is State.STALE:
                descent.served[key] = entry
        waiting = descent.lacks(keys)
        self.notes.stale((key for key in keys if key not in waiting), "being loaded elsewhere", is_told=False)
        self.notes.waits(waiting)
        loaded: dict[Key, Entry] = {}
        with self.waiters.waiting(waiting) as wake:
            deadline, pause = self.now() + self._patience, _FIRST_PAUSE
            due = waiting
            while waiting:
                found, left = self._look_again(due, descent, elector)
                # Nobody is waited for who cannot say that a load has ended.
                lost = waiting if self.now() >= deadline else {*left, *elector.unreached(waiting)}
                left = [key for key in descent.lacks(waiting) if key in lost]
                self.notes.waited(found)
                # What was won is loaded before others are waited for: they may be waiting for this.
                mine = yield from self._load(left, options, descent)
                loaded |= mine
                self._strategy.climb(self._stack, descent, found | mine)
                self.notes.refused(descent)
                waiting = [key for key in descent.lacks(waiting) if key not in left]
                if waiting:
                    yield Pause(pause, wake)
                    # Only what has landed, if that is known; else everything, ever more rarely.
                    named = wake.take()
                    due = [key for key in waiting if key in named] if named else waiting
                    pause = pause if named else min(2 * pause, self._longest_pause(waiting, elector))
        return loaded

    def _longest_pause(self, waiting: list[Key], elector: GuardedTier) -> Seconds:
        """Return after how long one who waits looks again although nobody has told it to."""
        is_told = self._stack.is_heard and not self._stack.is_deaf
        # Who is told waits only for holders that have died, of whom nobody tells.
        longest = min(elector.lease_ttl / 3, 1.0) if is_told else _LONGEST_PAUSE
        return max(longest, len(waiting) / _LOOKS_A_SECOND)

    def _look_again(
        self, waiting: list[Key], descent: Descent, elector: GuardedTier
    ) -> tuple[dict[Key, Entry], list[Key]]:
        """Return what has been filled at the elector since, and which keys are this process's to load."""
        found = descent.accept(elector.look(waiting)[0])
        waiting = descent.lacks(waiting)
        if waiting:
            # A holder that gave up or died has left the lease to who asks first.
            self._strategy.reserve(elector, waiting, descent, elector=elector)
            found |= {key: descent.found[key] for key in waiting if key in descent.found}
            waiting = descent.lacks(waiting)
        left = [key for key in waiting if key not in descent.elsewhere]
        still = [key for key in waiting if key in descent.elsewhere]
        if still:
            elector.note_waiting(still)
            # Whoever landed before this process was noted has told nobody; whoever lands after it tells it.
            found |= descent.accept(elector.look(still)[0])
        return found, left


def _leases_on(keys: list[Key], descent: Descent) -> list[Held]:
    """Return the leases of servers on keys; those of L1 do not end by themselves."""
    held: list[Held] = []
    for tier, leases in descent.leases:
        if not isinstance(tier, MemoryTier):
            mine = {key: leases[key] for key in keys if key in leases}
            if mine:
                held.append((tier, mine))
    return held
