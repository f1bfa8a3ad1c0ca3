"""One load per key in this process: who comes first leads, the others wait."""

import contextlib
import contextvars
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from greencache.background import Background
from greencache.entry import Entry, State, judge
from greencache.errors import LoadTimeoutError
from greencache.flight import Flight, FlightTable
from greencache.forks import after_fork_in_child
from greencache.loading.deadlines import deadlines
from greencache.loading.driver import Driver
from greencache.loading.flights import Entries, Flights, is_lacking, offering
from greencache.loading.leader import Leader
from greencache.loading.load import is_loading, is_seeing_uncommitted, loads_under_way
from greencache.loading.look import look_in_memory
from greencache.loading.steps import Steps
from greencache.options import EntryOptions
from greencache.tiers.stack import Stack
from greencache.typing import MISSING, UNSET, BatchLoader, Key, Seconds

__all__ = ["Reader"]


class Reader:
    """Shares the leader's work among the threads, greenlets and tasks of a process.

    Args:
        leader: Finds or loads, in steps.
        driver: Does, on a thread, what the steps ask for.
        stack: The tiers.
        patience: Seconds to wait for a leader before loading oneself.
        background: Runs reloads that nobody waits for.
        foreground: Runs loads that callers with a time-out wait for.
    """

    def __init__(
        self,
        leader: Leader,
        driver: Driver,
        stack: Stack,
        *,
        patience: Seconds,
        background: Background,
        foreground: Background,
    ) -> None:
        self.leader = leader
        self.driver = driver
        self.flights = FlightTable()
        self.background = background
        self.foreground = foreground
        self.patience = patience
        self._stack = stack
        self._now = leader.now
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._reloading: set[Key] = set()
        self._reloading_lock = threading.Lock()

    def load_many(
        self, keys: list[Key], loader: BatchLoader[Any], options: EntryOptions, *, takes_absent: bool = True
    ) -> dict[Key, Entry]:
        """Return the entries of keys, found or loaded by whoever came first; keys without value left out.

        Args:
            keys: What to look for, each once.
            loader: Reads values from their source.
            options: How loaded values are to be kept, and how long they are waited for.
            takes_absent: Whether it is an answer that a loader of many has left a key out.

        Raises:
            LoadTimeoutError: If a value was not there in time.
            Exception: What a loader raised, if there is no stale value to serve instead.
        """
        found: dict[Key, Entry] = {}
        waiting, since = keys, self._now()

        def lead(led: Flights) -> Entries:
            return self._lead(led, loader, options, takes_absent=takes_absent)

        while waiting:
            led, joined = self.join(waiting)
            if options.has_timeout and led and self._lead_elsewhere(led, lead, options):
                found.update(self._follow(joined | led, options, since, led))
                for flight in led.values():
                    if flight.ended_by is not None:
                        # As if the loader had run here.
                        raise flight.ended_by
            else:
                # Own flights land before others are waited for, so two batches that wait for each other's
                # keys cannot hold each other up.
                found.update(lead(led))
                found.update(self._follow(joined, options, since, {}))
            # What another leader did not find, with its own loader or in time, is one's own to load.
            waiting = [key for key in joined if is_lacking(found.get(key), takes_absent=takes_absent)]
        return found

    def join(self, keys: Iterable[Key]) -> tuple[Flights, Flights]:
        """Return the flights of keys: those that the caller leads, and so must land, and those of others."""
        inside = [flight for load in loads_under_way() for flight in load.flights] if is_loading() else ()
        # Who has been at it for longer than anybody waits for is taken for hung.
        hung_before = time.monotonic() - self.patience
        led: Flights = {}
        joined: Flights = {}
        for key in keys:
            flight, is_leader = self.flights.join(key, inside, hung_before=hung_before)
            (led if is_leader else joined)[key] = flight
        if self.driver.gate.is_passed:
            # They may be waiting for the very place that the caller's load holds.
            for flight in joined.values():
                flight.urge()
        return led, joined

    # -- leading ---------------------------------------------------------------------------------------

    def _lead(
        self, led: Flights, loader: BatchLoader[Any], options: EntryOptions, *, takes_absent: bool
    ) -> dict[Key, Entry]:
        if not led:
            return {}
        steps = self.steps(led, options, takes_absent=takes_absent)
        return self.landing(led, lambda: self.driver.run(steps, loader, led.values()))

    def steps(self, led: Flights, options: EntryOptions, *, takes_absent: bool) -> Steps[Entries]:
        """Return what the leader of flights finds or loads, in steps."""
        # Only now that others can join: who comes after a drop does not join a flight that began before it,
        # and so gets nothing of what was seen before. Another flight may also have landed in L1 meanwhile.
        look = look_in_memory(self._stack, list(led), takes_absent=takes_absent)
        found = dict(look.found)
        wanted = [key for key in led if key not in found]
        if wanted:
            found |= yield from self.leader.find_or_load(
                wanted, options, look, meanwhile=offering(led), takes_absent=takes_absent
            )
        return found

    def landing(self, led: Flights, lead: Callable[[], dict[Key, Entry]]) -> dict[Key, Entry]:
        """Return what was found, and hand it, or the error, to all who wait for these flights."""
        try:
            found = lead()
        except Exception as error:
            self.crash(led, error)
            raise
        except BaseException as end:
            # This thread or greenlet is being ended, which is no reason to end those that wait for it.
            for flight in led.values():
                flight.ended_by = end
            self.land(led, {})
            raise
        self.land(led, found)
        return found

    def land(self, led: Flights, found: Mapping[Key, Entry]) -> None:
        """Hand what was found to all who wait; who gets nothing looks for itself."""
        for key, flight in led.items():
            self.flights.land(key, flight, found.get(key))

    def crash(self, led: Flights, error: Exception) -> None:
        """Hand an error to all who wait."""
        for key, flight in led.items():
            self.flights.crash(key, flight, error)

    def _lead_elsewhere(
        self, led: Flights, lead: Callable[[Flights], Entries], options: EntryOptions
    ) -> bool:
        """Let another thread lead, so that this one can stop waiting; return whether one will."""
        # The loader sees what it would see here, such as whose request it is.
        context = contextvars.copy_context()

        def run() -> None:
            # All who wait for the flights have the error.
            with contextlib.suppress(Exception):
                context.run(lead, led)

        try:
            is_taken = self.foreground.submit(run)
        except BaseException:
            self.land(led, {})
            raise
        if not is_taken and options.hard_timeout is not UNSET:
            self.land(led, {})
            raise LoadTimeoutError(
                "expected a thread to load on, so that a hard_timeout can be kept, got none: too many loads"
                " are under way"
            )
        return is_taken

    # -- following -------------------------------------------------------------------------------------

    def _follow(self, joined: Flights, options: EntryOptions, since: Seconds, led: Flights) -> Entries:
        # A deadline for these flights alone: whoever has waited for one that hangs waits anew for the next.
        give_up = self._now() + self.patience
        found: Entries = {}
        for key, flight in joined.items():
            self.leader.notes.counters.joined += key not in led
            # Who leads elsewhere waits as long as if it led here.
            patience = math.inf if key in led else give_up
            for deadline in deadlines(options, since, patience):
                entry, has_landed = self._wait(flight, deadline, is_own=key in led)
                if not has_landed:
                    entry = self.late(key, flight, options, (since, deadline, patience))
                if entry is not None:
                    found[key] = entry
                    if key not in led:
                        self.leader.notes.joined(key)
                if has_landed or entry is not None:
                    break
        return found

    def _wait(self, flight: Flight, deadline: Seconds, *, is_own: bool) -> tuple[Entry | None, bool]:
        """Return what a flight has found, and whether it has landed."""
        left = None if deadline == math.inf else max(0.0, deadline - self._now())
        try:
            return flight.wait(left, is_own=is_own), True
        except TimeoutError:
            # If it has landed, this instant or before, the error may be the loader's own.
            return (flight.wait(0, is_own=is_own), True) if flight.has_landed else (None, False)

    def late(
        self, key: Key, flight: Flight, options: EntryOptions, times: tuple[Seconds, Seconds, Seconds]
    ) -> Entry | None:
        """Return what may be served in place of a flight that has not landed in time, if anything.

        Args:
            key: What is being loaded.
            flight: Its load, which goes on.
            options: Say how long to wait.
            times: When the caller began to wait, until when it has waited so far, and when to take the
                flight for hung: from then on nobody joins it, and somebody else leads.

        Raises:
            LoadTimeoutError: If there is nothing, and it is time to say so.
        """
        since, waited_until, give_up = times
        # Waits are timed by the machine: by the cache's clock they may end a little early, or, when a test
        # owns it, take no time at all.
        now = max(self._now(), waited_until)
        if options.soft_timeout is not UNSET and now >= since + options.soft_timeout:
            entry: Entry | None = flight.meanwhile
            if entry is not None and entry.kept is not MISSING and judge(entry, now) is not State.GONE:
                self.leader.notes.stale([key], f"not loaded within {options.soft_timeout:g} s")
                return entry
        if options.hard_timeout is not UNSET and now >= since + options.hard_timeout:
            self.leader.notes.timed_out(key, f"not loaded within {options.hard_timeout:g} s")
            raise LoadTimeoutError(
                f"expected a value to be loaded within {options.hard_timeout:g} s; its load goes on, and"
                f" what it returns is kept"
            )
        if now >= give_up:
            self.flights.abandon(key, flight)
        return None

    # -- reloading -------------------------------------------------------------------------------------

    def reload_soon(self, due: Mapping[Key, Entry], loader: BatchLoader[Any], options: EntryOptions) -> None:
        """Replace entries in the background, except those that are being reloaded already."""
        wanted = self.claim(due)
        if not wanted:
            return

        def reload() -> None:
            try:
                self.driver.run(self.leader.reload({key: due[key] for key in wanted}, options), loader)
            finally:
                self.unclaim(wanted)

        is_taken = False
        try:
            is_taken = self.background.submit(reload)
        finally:
            # A time-out may be thrown into a greenlet that waits for a thread to start.
            if not is_taken:
                self.unclaim(wanted)

    def claim(self, keys: Iterable[Key]) -> list[Key]:
        """Return those keys that nobody is reloading; they are the caller's to reload, and to unclaim."""
        if is_seeing_uncommitted():
            return []  # what it would load is not for others, and they notice by themselves what is due
        with self._reloading_lock:
            wanted = [key for key in keys if key not in self._reloading]
            self._reloading.update(wanted)
        return wanted

    def unclaim(self, keys: list[Key]) -> None:
        """Let keys be reloaded again."""
        self._reloading.difference_update(keys)

    def close(self) -> None:
        """Finish what runs in the background, and extend no lease any more."""
        self.background.close()
        self.foreground.close()
        self.leader.keeper.close()
