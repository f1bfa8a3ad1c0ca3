"""One load per key in this process: who comes first leads, the others wait."""

import threading
from collections.abc import Mapping
from typing import Any

from greencache.background import Background
from greencache.bus.base import Bus
from greencache.entry import Entry, State, judge
from greencache.events import Recorder
from greencache.flight import Flight, FlightTable
from greencache.forks import after_fork_in_child
from greencache.loading.leader import Leader
from greencache.options import EntryOptions
from greencache.tiers.memory import MemoryTier
from greencache.typing import BatchLoader, Key, Seconds

__all__ = ["Reader"]


class Reader:
    """Shares the leader's work among the threads, greenlets and tasks of a process.

    Args:
        leader: Finds or loads.
        memory: L1, if there is one.
        bus: Tells whether L1 may be believed.
        recorder: Is told of reloads that failed.
        patience: Seconds to wait for a leader before loading oneself.
    """

    def __init__(
        self, leader: Leader, memory: MemoryTier | None, bus: Bus, recorder: Recorder, *, patience: Seconds
    ) -> None:
        self.leader = leader
        self.flights = FlightTable()
        self.background = Background(recorder=recorder)
        self._memory = memory
        self._bus = bus
        self._patience = patience
        self._now = leader.now
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._reloading: set[Key] = set()
        self._reloading_lock = threading.Lock()

    def load_many(
        self, keys: list[Key], loader: BatchLoader[Any], options: EntryOptions, held: Mapping[Key, Entry]
    ) -> dict[Key, Entry]:
        """Return the entries of keys, found or loaded by whoever came first; keys without value left out.

        Args:
            keys: What to look for, each once.
            loader: Reads values from their source.
            options: How loaded values are to be kept.
            held: What L1 has of them but could not serve as fresh.

        Raises:
            Exception: What a loader raised, if there is no stale value to serve instead.
        """
        found: dict[Key, Entry] = {}
        waiting = keys
        while waiting:
            led: dict[Key, Flight] = {}
            joined: dict[Key, Flight] = {}
            for key in waiting:
                flight, is_leader = self.flights.join(key)
                (led if is_leader else joined)[key] = flight
            # Own flights land before others are waited for, so two batches that wait for each other's
            # keys cannot hold each other up.
            found.update(self._lead(led, loader, options, held))
            found.update(self._follow(joined))
            # What another leader did not find, with its own loader or in time, is one's own to load.
            waiting = [key for key in joined if key not in found]
        return found

    def reload_soon(self, keys: list[Key], loader: BatchLoader[Any], options: EntryOptions) -> None:
        """Load keys in the background, except those that are being reloaded already."""
        with self._reloading_lock:
            wanted = [key for key in keys if key not in self._reloading]
            self._reloading.update(wanted)
        if not wanted:
            return

        def reload() -> None:
            try:
                self.leader.reload(wanted, loader, options)
            finally:
                self._reloading.difference_update(wanted)

        is_taken = False
        try:
            is_taken = self.background.submit(reload)
        finally:
            # A time-out may be thrown into a greenlet that waits for a thread to start.
            if not is_taken:
                self._reloading.difference_update(wanted)

    def _lead(
        self,
        led: Mapping[Key, Flight],
        loader: BatchLoader[Any],
        options: EntryOptions,
        held: Mapping[Key, Entry],
    ) -> dict[Key, Entry]:
        if not led:
            return {}
        try:
            found = self._landed_meanwhile(list(led))
            wanted = [key for key in led if key not in found]
            if wanted:
                found |= self.leader.find_or_load(wanted, loader, options, held)
        except Exception as error:
            for key, flight in led.items():
                self.flights.crash(key, flight, error)
            raise
        except BaseException:
            # This thread or greenlet is being ended, which is no reason to end those that wait for it.
            for key, flight in led.items():
                self.flights.land(key, flight, None)
            raise
        for key, flight in led.items():
            self.flights.land(key, flight, found.get(key))
        return found

    def _follow(self, joined: Mapping[Key, Flight]) -> dict[Key, Entry]:
        # A deadline for these flights alone: whoever has waited for one that hangs waits anew for the next.
        deadline = self._now() + self._patience
        found: dict[Key, Entry] = {}
        for key, flight in joined.items():
            self.leader.counters.joined += 1
            try:
                entry = flight.wait(max(0.0, deadline - self._now()))
            except TimeoutError:
                if not flight.future.done():
                    # The leader hangs: from now on nobody joins it, and somebody else leads.
                    self.flights.abandon(key, flight)
                    continue
                # It has landed this instant, or the error is the loader's own.
                entry = flight.wait(0)
            if entry is not None:
                found[key] = entry
        return found

    def _landed_meanwhile(self, keys: list[Key]) -> dict[Key, Entry]:
        # Another flight may have landed between this caller's look at L1 and its own flight.
        now = self._now()
        if self._memory is None or now >= self._bus.trusted_until:
            return {}
        found = self._memory.get_many(keys)
        return {key: entry for key, entry in found.items() if judge(entry, now) is State.FRESH}
