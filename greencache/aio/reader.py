"""One load per key, for tasks and threads alike: they share the flights of the process."""

import asyncio
import math
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from greencache.aio.driver import AnyBatchLoader, AsyncDriver
from greencache.aio.offload import Bell
from greencache.entry import Entry
from greencache.flight import Flight
from greencache.loading.reader import Entries, Flights, Reader, deadlines, offering
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
    """

    def __init__(self, reader: Reader, driver: AsyncDriver) -> None:
        self._reader = reader
        self._driver = driver
        self._tasks: set[asyncio.Task[Any]] = set()

    async def load_many(
        self, keys: list[Key], loader: AnyBatchLoader, options: EntryOptions, held: Mapping[Key, Entry]
    ) -> Entries:
        """Return the entries of keys, found or loaded by whoever came first; keys without value left out.

        Args:
            keys: What to look for, each once.
            loader: Reads values from their source; a coroutine function, or one that blocks.
            options: How loaded values are to be kept, and how long they are waited for.
            held: What L1 has of them but could not serve as fresh.

        Raises:
            LoadTimeoutError: If a value was not there in time.
            Exception: What a loader raised, if there is no stale value to serve instead.
        """
        found: Entries = {}
        waiting, since = keys, self._reader.leader.now()
        while waiting:
            led, joined = self._reader.join(waiting)
            if led:
                self._held(self._lead(led, loader, options, held))
            found.update(await self._follow(joined | led, options, since, led))
            # What another leader did not find, with its own loader or in time, is one's own to load.
            waiting = [key for key in joined if key not in found]
        return found

    def reload_soon(self, keys: list[Key], loader: AnyBatchLoader, options: EntryOptions) -> None:
        """Load keys in the background, except those that are being reloaded already."""
        wanted = self._reader.claim(keys)
        if wanted:
            self._held(self._reload(wanted, loader, options))

    async def finished(self, work: Coroutine[Any, Any, R]) -> R:
        """Return the result of work that goes on although its caller is cancelled."""
        return await asyncio.shield(self._held(work))

    async def close(self, within: Seconds = 5.0) -> None:
        """Wait for the loads that are under way.

        Args:
            within: Seconds at most; what is not done by then is cancelled.
        """
        tasks = list(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=within)
            for task in late:
                task.cancel()

    def _held(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        # Held on to: the loop itself does not keep tasks alive.
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- leading ---------------------------------------------------------------------------------------

    async def _lead(
        self, led: Flights, loader: AnyBatchLoader, options: EntryOptions, held: Mapping[Key, Entry]
    ) -> None:
        reader = self._reader
        try:
            found = reader.landed_meanwhile(list(led))
            wanted = [key for key in led if key not in found]
            if wanted:
                steps = reader.leader.find_or_load(wanted, options, held, meanwhile=offering(led))
                found |= await self._driver.run(steps, loader, led.values())
        except Exception as error:
            reader.crash(led, error)
        except BaseException:
            # This task is being cancelled, which is no reason to end those that wait for it.
            reader.land(led, {})
            raise
        else:
            reader.land(led, found)

    async def _reload(self, wanted: list[Key], loader: AnyBatchLoader, options: EntryOptions) -> None:
        reader = self._reader
        try:
            await self._driver.run(reader.leader.reload(wanted, options), loader)
        except Exception as error:
            reader.background.note_failed(error)
        finally:
            reader.unclaim(wanted)

    # -- following -------------------------------------------------------------------------------------

    async def _follow(self, joined: Flights, options: EntryOptions, since: Seconds, led: Flights) -> Entries:
        reader = self._reader
        # A deadline for these flights alone: whoever has waited for one that hangs waits anew for the next.
        give_up = reader.leader.now() + reader.patience
        found: Entries = {}
        for key, flight in joined.items():
            reader.leader.notes.counters.joined += key not in led
            patience = math.inf if key in led else give_up
            for deadline, is_last in deadlines(options, since, patience):
                entry, has_landed = await self._wait(flight, deadline)
                if not has_landed:
                    entry = reader.late(key, flight, options, since, patience if is_last else math.inf)
                if entry is not None:
                    found[key] = entry
                    if key not in led:
                        reader.leader.notes.joined(key)
                if has_landed or entry is not None:
                    break
        return found

    async def _wait(self, flight: Flight, deadline: Seconds) -> tuple[Entry | None, bool]:
        """Return what a flight has found, and whether it has landed."""
        if not flight.future.done():
            # Not `asyncio.wrap_future`: cancelling that cancels the future, which others wait for.
            bell = Bell()
            flight.future.add_done_callback(bell.ring)
            left = None if deadline == math.inf else max(0.0, deadline - self._reader.leader.now())
            if not await bell.heard(left) and not flight.future.done():
                return None, False
        return flight.wait(0), True
