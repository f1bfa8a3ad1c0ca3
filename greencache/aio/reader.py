"""One load per key, for tasks and threads alike: they share the flights of the process."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from greencache.aio.driver import AsyncDriver
from greencache.aio.functions import AnyBatchLoader
from greencache.aio.offload import Bell
from greencache.aio.tasks import Tasks
from greencache.entry import Entry
from greencache.flight import Flight
from greencache.loading.deadlines import deadlines
from greencache.loading.flights import Entries, Flights, is_lacking
from greencache.loading.load import run_inside
from greencache.loading.reader import Reader
from greencache.loading.steps import Steps
from greencache.options import EntryOptions
from greencache.typing import Key, Seconds

__all__ = ["AsyncReader"]

R = TypeVar("R")


class AsyncReader:
    """Does on an event loop what a `Reader` does on threads.

    Each flight is led by a task of its own: a caller that is cancelled ends nobody else's load.

    Args:
        reader: Holds the flights, and leads those of threads.
        driver: Does what the steps of a read ask for.
        start: Connects to servers, if that has not been done; may block.
    """

    def __init__(self, reader: Reader, driver: AsyncDriver, start: Callable[[], None]) -> None:
        self._reader = reader
        self._driver = driver
        self._start = start
        self._tasks = Tasks()

    async def load_many(
        self, keys: list[Key], loader: AnyBatchLoader, options: EntryOptions, *, takes_absent: bool = True
    ) -> Entries:
        """Return the entries of keys, found or loaded by whoever came first; keys without value left out.

        Args:
            keys: What to look for, each once.
            loader: Reads values from their source; a coroutine function, or one that blocks.
            options: How loaded values are to be kept, and how long they are waited for.
            takes_absent: Whether it is an answer that a loader of many has left a key out.

        Raises:
            LoadTimeoutError: If a value was not there in time.
            CancelledError: If its own load was cancelled: by its loader, by `close`, or with its loop.
            Exception: What a loader raised, if there is no stale value to serve instead.
        """
        found: Entries = {}
        waiting, since = keys, self._reader.leader.now()
        while waiting:
            led, joined = self._reader.join(waiting)
            steps = self._reader.steps(led, options, takes_absent=takes_absent)
            task = self._begin(led, steps, loader) if led else None
            found.update(await self._follow(led | joined, options, since, led))
            if task is not None and task.cancelled():
                raise asyncio.CancelledError
            # What another leader did not find, with its own loader or in time, is one's own to load.
            waiting = [key for key in joined if is_lacking(found.get(key), takes_absent=takes_absent)]
        return found

    def reload_soon(self, due: Mapping[Key, Entry], loader: AnyBatchLoader, options: EntryOptions) -> None:
        """Replace entries in the background, except those that are being reloaded already."""
        reader = self._reader
        wanted = reader.claim(due)
        if wanted:
            work = self._reload({key: due[key] for key in wanted}, loader, options)
            # Not a part of the load, if any, in which it was noticed that it is due.
            run_inside(None, lambda: self._tasks.begin(work, lambda: reader.unclaim(wanted)))

    async def finished(self, work: Coroutine[Any, Any, R]) -> R:
        """Return the result of work that goes on although its caller is cancelled."""
        return await asyncio.shield(self._tasks.begin(work))

    async def close(self, within: Seconds = 5.0) -> None:
        """Wait for the loads that are under way.

        Args:
            within: Seconds at most; what is not done by then is cancelled.
        """
        await self._tasks.close(within)

    # -- leading ---------------------------------------------------------------------------------------

    def _begin(self, led: Flights, steps: Steps[Entries], loader: AnyBatchLoader) -> "asyncio.Task[None]":
        def land() -> None:
            # Those that have not landed: the task was cancelled, perhaps before its first step, which is no
            # reason to end those that wait for them.
            self._reader.land({key: flight for key, flight in led.items() if not flight.has_landed}, {})

        return self._tasks.begin(self._lead(led, steps, loader), land)

    async def _lead(self, led: Flights, steps: Steps[Entries], loader: AnyBatchLoader) -> None:
        reader = self._reader
        try:
            found = await self._driver.run(self._started(steps), loader, led.values())
        except Exception as error:
            reader.crash(led, error)
        else:
            reader.land(led, found)

    def _started(self, steps: Steps[R]) -> Steps[R]:
        self._start()
        return (yield from steps)

    async def _reload(self, due: Mapping[Key, Entry], loader: AnyBatchLoader, options: EntryOptions) -> None:
        try:
            await self._driver.run(self._reader.leader.reload(due, options), loader)
        except Exception as error:
            self._reader.background.note_failed(error)

    # -- following -------------------------------------------------------------------------------------

    async def _follow(self, joined: Flights, options: EntryOptions, since: Seconds, led: Flights) -> Entries:
        reader = self._reader
        # A deadline for these flights alone: whoever has waited for one that hangs waits anew for the next.
        give_up = reader.leader.now() + reader.patience
        found: Entries = {}
        for key, flight in joined.items():
            reader.leader.notes.counters.joined += key not in led
            patience = math.inf if key in led else give_up
            for deadline in deadlines(options, since, patience):
                entry, has_landed = await self._wait(flight, deadline, is_own=key in led)
                if not has_landed:
                    entry = reader.late(key, flight, options, (since, deadline, patience))
                if entry is not None:
                    found[key] = entry
                    if key not in led:
                        reader.leader.notes.joined(key)
                if has_landed or entry is not None:
                    break
        return found

    async def _wait(self, flight: Flight, deadline: Seconds, *, is_own: bool) -> tuple[Entry | None, bool]:
        """Return what a flight has found, and whether it has landed."""
        if not flight.has_landed:
            # Not `asyncio.wrap_future`: cancelling that cancels the future, which others wait for.
            bell = Bell()
            flight.future.add_done_callback(bell.ring)
            left = None if deadline == math.inf else max(0.0, deadline - self._reader.leader.now())
            if not await bell.heard(left) and not flight.has_landed:
                return None, False
        return flight.wait(0, is_own=is_own), True
