"""Eight threads that read and one that invalidates, while somebody else does things to the servers."""

import collections
import contextlib
import itertools
import threading
import time

from greencache.errors import InvalidationPending

__all__ = ["FailoverLoad"]

_MARGIN = 0.5
"""Seconds that a busy machine may add to a bound."""


class FailoverLoad:
    """Reads that know what they may return.

    Each key has a version, which is raised and then invalidated; a value names its key and version. A read
    that began after that was acknowledged must not return an older version: in the process that has
    invalidated never, in another one not after `max_staleness`.

    Args:
        own: The cache that invalidates, read by half of the threads.
        other: A cache over the same servers, as of another process, read by the other half.
        keys: How many keys there are.
        max_staleness: Seconds, as of the caches.
    """

    def __init__(self, own, other, keys=200, max_staleness=2.0):
        self._own, self._other = own, other
        self._keys = [f"key{number}" for number in range(keys)]
        self._versions = dict.fromkeys(self._keys, 0)
        self._acknowledged = {key: collections.deque([(0.0, 0)]) for key in self._keys}
        self._max_staleness = max_staleness
        self._stop = threading.Event()
        self._threads = []
        self.wrong, self.errors, self.stale = [], [], []
        self.calls, self.hits = [], []
        """When reads began and how long they took; when it was seen that keys had been found in a server."""
        self.queued = self.invalidated = 0

    def __enter__(self):
        readers = [threading.Thread(target=self._read, args=(number,), daemon=True) for number in range(8)]
        others = [threading.Thread(target=run, daemon=True) for run in (self._invalidate, self._watch)]
        self._threads = [*readers, *others]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def run(self, seconds):
        """Let it go on."""
        self._stop.wait(seconds)

    def hits_since(self, moment):
        """Return when keys were found in a server, from a moment on."""
        return sorted(at for at in list(self.hits) if at >= moment)

    def hits_again(self, moment):
        """Return after how many seconds keys were found in a server again, and went on to be."""
        hits = self.hits_since(moment)
        return hits[0] - moment if len(hits) > 20 else None

    def longest_gap(self, moment):
        """Return for how many seconds at most no key was found in a server, from a moment on."""
        hits = [moment, *self.hits_since(moment)]
        return max((later - earlier for earlier, later in itertools.pairwise(hits)), default=0.0)

    def longest_gap_on(self, machine, moment):
        """Return the same, as on a machine that nobody else uses; `machine` is its `Metronome`."""
        gaps = itertools.pairwise([moment, *self.hits_since(moment)])
        return max((machine.without_pauses(*gap) for gap in gaps if gap[1] - gap[0] > 0.1), default=0.0)

    def longest_call(self, moment):
        """Return the seconds of the longest read that ended after a moment."""
        return max(took for began, took in list(self.calls) if began + took >= moment)

    def longest_call_on(self, machine, moment):
        """Return the same, as on a machine that nobody else uses.

        Args:
            machine: Its `Metronome`.
            moment: Since when.
        """
        calls = [(began, began + took) for began, took in list(self.calls) if began + took >= moment]
        # The longest ones only: each is looked up among all pauses.
        calls.sort(key=lambda call: call[0] - call[1])
        return max(machine.without_pauses(*call) for call in calls[:200])

    def _read(self, number):
        cache, is_own = (self._own, True) if number % 2 else (self._other, False)
        # One of each process side by side, the pairs apart: where the machine is busy, all of them would else
        # go along behind the one that invalidates, and find nothing of what others have stored.
        start = len(self._keys) // 4 * (number // 2)
        keys = itertools.cycle(self._keys[start:] + self._keys[:start])
        while not self._stop.is_set():
            self._read_one(cache, next(keys), is_own)
            time.sleep(0.0005)  # one of two cores is the servers'

    def _read_one(self, cache, key, is_own):
        began = time.monotonic()
        least = self._least(key, began if is_own else began - self._max_staleness - _MARGIN)
        try:
            name, version = cache.get_or_load(key, lambda: [key, self._versions[key]])
        except Exception as error:
            self.errors.append(repr(error))
            return
        self.calls.append((began, time.monotonic() - began))
        if name != key:
            self.wrong.append((key, name))
        elif version < least:
            self.stale.append((key, version, least, is_own))

    def _watch(self):
        seen = 0
        while not self._stop.wait(0.01):
            hits = sum(cache.get_stats()["L3"].hits for cache in (self._own, self._other))
            if hits > seen:
                seen = hits
                self.hits.append(time.monotonic())

    def _least(self, key, moment):
        """Return the least version that a read may return which began at a moment."""
        return max((version for at, version in list(self._acknowledged[key]) if at <= moment), default=0)

    def _invalidate(self):
        for key in itertools.cycle(self._keys):
            if self._stop.wait(0.01):
                return
            version = self._versions[key] = self._versions[key] + 1
            with contextlib.suppress(InvalidationPending):
                self._own.invalidate(key)
                self._acknowledged[key].append((time.monotonic(), version))
                self.invalidated += 1
                continue
            # Not acknowledged to others, but this process itself never reads older again: not checked here,
            # since a drop that could not be announced is announced when it is replayed.
            self.queued += 1
