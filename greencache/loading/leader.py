"""What the leader of a flight does: descend, wait for other processes, load, climb."""

import time
import types
from collections.abc import Callable, Mapping
from typing import Any

from greencache.entry import Entry, Stamps, State, judge
from greencache.errors import InvalidArgumentError, UnsupportedFunctionError
from greencache.events import Event, EventKind, Recorder
from greencache.loading.gate import LoadGate
from greencache.options import EntryOptions
from greencache.stamps import StampTable
from greencache.stats import LoadCounters
from greencache.strategies import Descent, Strategy
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.stack import Stack
from greencache.typing import BatchLoader, Key, Seconds

__all__ = ["Leader"]

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.02


class Leader:
    """Finds keys in the tiers below L1, or loads them.

    Args:
        stack: The tiers.
        strategy: The order in which they are read and filled.
        stamps: The current stamps.
        recorder: Is told of failed loads, and of stale values served.
        patience: Seconds to wait for a load of another process before loading oneself.
        max_loads: How many loaders may run at once; `None` for any number.
        sleep: Pauses between two looks at a load of another process.
    """

    def __init__(
        self,
        stack: Stack,
        strategy: Strategy,
        stamps: StampTable,
        *,
        recorder: Recorder,
        patience: Seconds = 10.0,
        max_loads: int | None = None,
        sleep: Callable[[Seconds], None] | None = None,
    ) -> None:
        self.counters = LoadCounters()
        self._stack = stack
        self._strategy = strategy
        self._stamps = stamps
        self._recorder = recorder
        self._patience = patience
        self._gate = LoadGate(max_loads, patience)
        self._sleep = sleep
        self.now = stack.clock.now

    def find(self, keys: list[Key], held: Mapping[Key, Entry]) -> dict[Key, Entry]:
        """Return what the tiers below L1 have, promoted on the way.

        Args:
            keys: What to look for.
            held: What L1 has of them but could not vouch for.
        """
        with Descent() as descent:
            self._hold(held, descent)
            self._strategy.descend(self._stack, keys, descent)
            self._note_degraded(descent)
            self._strategy.climb(self._stack, descent, descent.found)
        return descent.found | descent.served

    def find_or_load(
        self, keys: list[Key], loader: BatchLoader[Any], options: EntryOptions, held: Mapping[Key, Entry]
    ) -> dict[Key, Entry]:
        """Return what the tiers below L1 have, and load the rest.

        Args:
            keys: What to look for.
            loader: Reads values from their source; is called once for what is missing.
            options: How loaded values are to be kept.
            held: What L1 has of them but could not serve as fresh.

        Raises:
            Exception: What the loader raised, if there is no stale value to serve instead.
        """
        with Descent() as descent:
            self._hold(held, descent)
            elector = self._stack.elector(options.tier)
            self._strategy.descend(self._stack, keys, descent, elector=elector)
            self._note_degraded(descent)
            mine = [key for key in descent.lacks(keys) if key not in descent.elsewhere]
            loaded = self._load(mine, loader, options, descent) if mine else {}
            # Filled before others are waited for: they may be waiting for this.
            self._strategy.climb(self._stack, descent, descent.found | loaded)
            others = [key for key in descent.lacks(keys) if key not in loaded]
            if elector is not None:
                loaded |= self._await_others(others, loader, options, descent, elector)
        return descent.found | descent.served | loaded

    def reload(self, keys: list[Key], loader: BatchLoader[Any], options: EntryOptions) -> dict[Key, Entry]:
        """Load keys whatever the tiers have, and store what was loaded unless it was dropped meanwhile.

        Returns:
            What was loaded; nothing of a key that another process is loading.
        """
        with Descent() as descent:
            self._strategy.reserve_all(self._stack, keys, descent)
            mine = [key for key in keys if key not in descent.elsewhere]
            loaded = self._load(mine, loader, options, descent) if mine else {}
            self._strategy.climb(self._stack, descent, loaded)
        return loaded

    def make_entry(self, value: Any, options: EntryOptions, stamps: Stamps, cost: Seconds = 0.0) -> Entry:
        """Return a new entry for a value that is at least as new as its stamps.

        Raises:
            UnsupportedFunctionError: If the value is a coroutine, which can be awaited only once.
        """
        if isinstance(value, types.CoroutineType):
            value.close()
            raise UnsupportedFunctionError("expected a value, got a coroutine; the loader must not be async")
        clock = self._stack.clock
        now = clock.now()
        due, fresh, stale = options.lifetime(self._stack.default_ttl(options.tier))
        return Entry(
            value,
            now + fresh,
            now + stale,
            due_at=now + due,
            created=clock.wall(),
            stamps=stamps,
            tier=options.tier,
            cost=cost,
        )

    def _hold(self, held: Mapping[Key, Entry], descent: Descent) -> None:
        """Keep what L1 has and could not serve: stale, or fresh but perhaps dropped elsewhere unheard."""
        if self._stack.is_heard:
            descent.set_aside(held)
        else:
            descent.doubt(held)

    def _note_degraded(self, descent: Descent) -> None:
        if descent.served:
            self.counters.degraded += len(descent.served)
            self._recorder.record(Event(EventKind.DEGRADED, None, next(iter(descent.served))))

    def _load(
        self, keys: list[Key], loader: BatchLoader[Any], options: EntryOptions, descent: Descent
    ) -> dict[Key, Entry]:
        # Read before the load begins: a tag that is invalidated meanwhile has another stamp afterwards.
        stamps = self._stamps.current(options.tags)
        try:
            with self._gate.passed():
                values, cost = self._call(loader, keys)
        except Exception as error:
            self._serve_stale(keys, descent, error)
            return {}
        return {key: self.make_entry(values[key], options, stamps, cost) for key in keys if key in values}

    def _call(self, loader: BatchLoader[Any], keys: list[Key]) -> tuple[Mapping[Key, Any], Seconds]:
        """Return what a loader returns, and the seconds that it took."""
        counters = self.counters
        counters.loads += 1
        started = self.now()
        try:
            # A list of its own: a loader may use it up.
            values = loader(list(keys))
        except Exception as error:
            counters.failures += 1
            self._recorder.record(
                Event(EventKind.LOAD_FAILED, None, keys[0], {"error": type(error).__name__})
            )
            raise
        finally:
            cost = self.now() - started
            counters.seconds += cost
        if not isinstance(values, Mapping):
            raise InvalidArgumentError(
                f"expected a loader of many keys to return a mapping, got {type(values).__name__}"
            )
        return values, cost

    def _serve_stale(self, keys: list[Key], descent: Descent, error: Exception) -> None:
        now = self.now()
        for key in keys:
            entry = descent.stale.get(key)
            if entry is None or judge(entry, now) is State.GONE:
                raise error
            descent.served[key] = entry
        self.counters.stale_served += len(keys)
        self._recorder.record(Event(EventKind.STALE_SERVED, None, keys[0], {"error": type(error).__name__}))

    def _await_others(
        self,
        keys: list[Key],
        loader: BatchLoader[Any],
        options: EntryOptions,
        descent: Descent,
        elector: GuardedTier,
    ) -> dict[Key, Entry]:
        """Return what other processes were loading, or load it after them if they give up."""
        now = self.now()
        for key in keys:
            entry = descent.stale.get(key) if key in descent.elsewhere else None
            if entry is not None and judge(entry, now) is State.STALE:
                self.counters.stale_served += 1
                descent.served[key] = entry
        waiting = [key for key in descent.lacks(keys) if key in descent.elsewhere]
        if not waiting:
            return {}
        self.counters.waited += len(waiting)
        before = set(descent.found)
        left = self._watch(waiting, descent, elector)
        loaded = self._load(left, loader, options, descent) if left else {}
        arrived = {key: entry for key, entry in descent.found.items() if key not in before}
        self._strategy.climb(self._stack, descent, arrived | loaded)
        return loaded

    def _watch(self, waiting: list[Key], descent: Descent, elector: GuardedTier) -> list[Key]:
        """Look at the elector until keys were filled there, and return those left to this process."""
        deadline = self.now() + self._patience
        pause = _FIRST_PAUSE
        left: list[Key] = []
        while waiting and elector.is_up and self.now() < deadline:
            # Looked up when it is called, so that a late monkey patch is honoured.
            (self._sleep or time.sleep)(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            descent.found.update(elector.look(waiting)[0])
            waiting = descent.lacks(waiting)
            if waiting:
                # A holder that gave up or died has left the lease to who asks first.
                self._strategy.reserve(elector, waiting, descent, elector=elector)
                left += [key for key in descent.lacks(waiting) if key not in descent.elsewhere]
                waiting = [key for key in descent.lacks(waiting) if key in descent.elsewhere]
        return left + waiting
