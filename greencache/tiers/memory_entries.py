"""What L1 holds, within its bounds."""

import threading
from collections.abc import Callable

from greencache.clock import Clock
from greencache.entry import Entry, State, judge
from greencache.forks import after_fork_in_child
from greencache.policies import Order, order_named
from greencache.stats import TierCounters
from greencache.tiers.pins import Pins
from greencache.tiers.tag_index import TagIndex
from greencache.typing import Key

__all__ = ["MemoryEntries"]

_LARGEST_PART = 8  # an entry over an eighth of L1 would evict too much that is worth more
_LEAST_SWEEP = 64
_MOST_WEIGHTS = 1_000
_LEAST_FOR_DUEL = 4_000_000
"""Bytes from which on the default policy learns from a sample of the keys. What it knows of them takes half a
megabyte to 0.8, most while keys come that it has not seen."""


class _Claiming:
    """The lock under which an L1 makes an entry its own, which another L1 of the process may be given, too.

    Nothing is called while it is held, so that no greenlet waits for it: it need not know of gevent.
    """

    def __init__(self) -> None:
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        # A lock that is held belongs to a thread of the parent.
        self.lock = threading.Lock()


_claiming = _Claiming()


class Changes:
    """The body of a `with` that changes entries; whoever enters it holds the lock of L1.

    A signal's exception, such as of a time limit, may end a change between any two lines, with a key in one
    of the books and not in another. Half a change cannot be mended, an empty cache can: what the interrupted
    one left behind, the next one empties.

    Args:
        give_up: Empties it.
    """

    __slots__ = ("_give_up", "_is_under_way")

    def __init__(self, give_up: Callable[[], object]) -> None:
        self._give_up = give_up
        self._is_under_way = False

    def __enter__(self) -> None:
        if self._is_under_way:
            self._give_up()
        self._is_under_way = True

    def __exit__(self, kind: object, *_: object) -> None:
        self._is_under_way = kind is not None


class MemoryEntries:
    """Entries by key, bounded by bytes and by count, with the keys under each tag.

    Whoever calls a method holds the lock of L1. The index alone is read without it.

    Args:
        size: Bytes that keys and values may take together.
        max_entries: How many entries at most; `None` for as many as fit.
        policy: The name of the eviction policy.
        clock: Where the time comes from.
        counters: Counts what is evicted, refused and swept.
    """

    def __init__(
        self, size: int, max_entries: int | None, *, policy: str, clock: Clock, counters: TierCounters
    ) -> None:
        self._size = size
        self._max_entries = max_entries
        self._policy = "s3fifo" if policy == "default" and size < _LEAST_FOR_DUEL else policy
        self._clock = clock
        self._counters = counters
        self.index: dict[Key, Entry] = {}
        """Never replaced, so that its methods may be bound once."""
        self.pins = Pins(size, max_entries)
        self.changes = Changes(self._give_up)
        """To be entered by whoever changes something."""
        self.clear()

    def clear(self) -> None:
        """Forget everything, whatever state it is in."""
        self.index.clear()
        self.pins.clear()
        self.order: Order = order_named(self._policy, self._size, self.index)
        self.tagged = TagIndex()
        self._weights: dict[int, int] = {}
        self._ordered_size: float = self._size
        self._writes_until_sweep = 1

    def _give_up(self) -> None:
        self._counters.drops += len(self.index)
        self.clear()

    @property
    def weight(self) -> int:
        """About how many bytes all entries take."""
        return int(self.order.currsize) + self.pins.weight

    def weight_of(self, key: Key) -> int:
        """Return about how many bytes an entry takes; 0 if it is not there."""
        return self.pins.weight_of(key) or int(self.order.weight_of(key))

    def store(self, key: Key, entry: Entry, weight: int) -> bool:
        """Store an entry, after making room for it, and return whether it was small enough.

        Args:
            key: Where to find it. One that is there keeps its place and its marks: a renewed value is as
                popular as the old one.
            entry: What to keep.
            weight: Bytes that it takes.
        """
        if weight > self._size // _LARGEST_PART:
            self._counters.refused_sizes += 1
            return False
        self._make_room(key, weight)
        old = self.index.get(key)
        if old is not None:
            self.tagged.remove(key, old)
        weight = self._shared(weight)
        own = self._owned(entry, weight)
        self._place(key, own, weight)
        self.index[key] = own
        self.tagged.add(key, entry)
        return True

    def pin(self, key: Key) -> bool:
        """Keep what is stored under a wanted key from being evicted; return whether it is there and kept."""
        self._place_anew(key)
        return key in self.pins

    def unpin(self, key: Key) -> bool:
        """Let a key be evicted again, and return whether it was kept from that."""
        was_pinned = key in self.pins
        self.pins.unwant(key)
        self._place_anew(key)
        return was_pinned

    def remove(self, key: Key) -> bool:
        """Remove an entry and return whether it was there."""
        entry = self.index.get(key)
        if entry is None:
            return False
        if self.pins.weight and self.pins.release(key):
            self._fit_order_beside_pins()
        else:
            self.order.discard(key)
        del self.index[key]
        self.tagged.remove(key, entry)
        return True

    def sweep_when_due(self) -> bool:
        """Remove what is gone, once for as many writes as there are entries: constant work a write.

        Returns:
            Whether it was due.
        """
        self._writes_until_sweep -= 1
        if self._writes_until_sweep > 0:
            return False
        now = self._clock.now()
        gone = [key for key, entry in self.index.items() if judge(entry, now) is State.GONE]
        for key in gone:
            self.remove(key)
        self._counters.expired += len(gone)
        self._writes_until_sweep = max(_LEAST_SWEEP, len(self.index))
        return True

    def _owned(self, entry: Entry, weight: int) -> Entry:
        """Return an entry that is held nowhere else: this one, or a copy if an L1 has had it.

        The order's books are in the entry, so it may be under one key of one L1 only.
        """
        with _claiming.lock:
            if not entry.weight:
                entry.weight = weight
                return entry
        copy = entry.copied()
        copy.weight = weight
        return copy

    def _shared(self, weight: int) -> int:
        """Return one and the same object for equal weights, which most small entries have."""
        if len(self._weights) >= _MOST_WEIGHTS:
            self._weights.clear()
        return self._weights.setdefault(weight, weight)

    def _place(self, key: Key, entry: Entry, weight: int) -> None:
        """Give an entry to the order, or keep it from that if it is to be pinned."""
        pins = self.pins
        if pins.wanted and pins.takes(key, weight):
            self.order.discard(key)
            pins.hold(key, weight)
            self._fit_order_beside_pins()
            return
        if pins.weight and pins.release(key):
            self._fit_order_beside_pins()
        self.order.add(key, entry, weight)

    def _place_anew(self, key: Key) -> None:
        """Bring an entry to its place after what is wanted of its key has changed."""
        entry = self.index.get(key)
        weight = self.weight_of(key)
        if entry is not None and self.pins.takes(key, weight) != (key in self.pins):
            self._place(key, entry, weight)

    def _make_room(self, key: Key, weight: int) -> None:
        # There is something to evict: pinned entries take half at most, and a new one an eighth.
        order, pins = self.order, self.pins
        room = self._size - weight - (pins.weight - pins.weight_of(key) if pins.weight else 0)
        # The first comparison is all that most stores need, and the second is dearer.
        while order.currsize > room and order.currsize - order.weight_of(key) > room:
            self._evict()
        if len(self.index) == self._max_entries and key not in self.index:
            self._evict()
            self._counters.count_evictions += 1

    def _evict(self) -> None:
        if self._max_entries is not None:
            self._fit_order()
        key: Key = self.order.evict()  # type: ignore[assignment]  # an order returns the keys it was given
        self.tagged.remove(key, self.index.pop(key))
        self._counters.evictions += 1

    def _fit_order_beside_pins(self) -> None:
        """Tell the order how much room is left to it."""
        self._ordered_size = self._size - self.pins.weight
        self.order.resize(self._ordered_size)

    def _fit_order(self) -> None:
        """Tell the order that it is full with what it holds, however many bytes the entries might take.

        Its queues are parts of what fits. As parts of bytes that the count never lets it reach they would
        keep what nobody asks for.
        """
        weight = self.order.currsize
        if abs(weight - self._ordered_size) * _LARGEST_PART > self._ordered_size:
            self._ordered_size = weight
            self.order.resize(weight)
