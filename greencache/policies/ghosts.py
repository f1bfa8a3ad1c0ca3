"""Keys that an order remembers without their values."""

import math
from array import array
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Protocol

from greencache.policies.order import MIXER

__all__ = ["GhostQueue", "GhostTable", "Ghosts"]

_BITS: Final = 16
_LOW: Final = (1 << _BITS) - 1
_PLACE: Final = 40
"""Bits of a mixed hash from which on they say where a key is; some of those below are its fingerprint."""
_MOMENTS: Final = 1024
"""How many moments can be told apart while a ghost is remembered, within a factor of four either way. They
come round after 16 times as long at least, when hardly any slot is still what it was."""
_FEWEST: Final = 64
_SPARSE: Final = 4
"""Slots for each ghost, at least: of two keys with one slot the older is lost, which is one in nine then."""


class Ghosts(Protocol):
    """Keys that were evicted a while ago: the last ones, that together weigh no more than a given sum."""

    def resize(self, maxsize: float) -> None:
        """Change what all may weigh together."""
        ...

    def remember(self, key: Hashable, weight: float) -> None:
        """Take in a key that was evicted now."""
        ...

    def recall(self, key: Hashable) -> bool:
        """Return whether a key is remembered, and forget it."""
        ...


class GhostQueue:
    """Remembers keys as they are, exactly.

    Args:
        maxsize: What all may weigh together.
    """

    def __init__(self, maxsize: float) -> None:
        self.maxsize = maxsize
        self.weights: OrderedDict[Hashable, float] = OrderedDict()
        self.currsize: float = 0

    def resize(self, maxsize: float) -> None:
        """Change what all may weigh together; the oldest go when the next key is asked for."""
        self.maxsize = maxsize

    def remember(self, key: Hashable, weight: float) -> None:
        """Take in a key that was evicted now."""
        self.weights[key] = weight
        self.currsize += weight

    def recall(self, key: Hashable) -> bool:
        """Return whether a key is remembered, and forget it."""
        weight = self.weights.pop(key, None)
        if weight is not None:
            self.currsize -= weight
        # Evictions add ghosts; only now, after this key's ghost was looked for, may the oldest be forgotten.
        while self.currsize > self.maxsize and self.weights:
            self.currsize -= self.weights.popitem(last=False)[1]
        return weight is not None


class GhostTable:
    """Remembers fingerprints of keys in a table: 16 to 64 bytes for each, where a queue takes 200 and more.

    Each slot has 16 bits of a key's hash and the moment at which the key was evicted, told by what was
    evicted before. What was evicted too long ago is as if it were not there. A key may be forgotten because
    another has taken its slot, and once in some hundred thousand times one is taken for another. Either means
    that a key enters the cache by the other door, nothing else.

    Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP 2023, section 4.2, propose the like.

    Args:
        maxsize: What all may weigh together.
    """

    def __init__(self, maxsize: float) -> None:
        self._evicted: float = 0
        """What all keys that were ever evicted weigh together: the clock of this table."""
        self._per_weight = 0.0
        self._begin(_FEWEST)
        self.resize(maxsize)

    def resize(self, maxsize: float) -> None:
        """Change what all may weigh together; what is remembered is forgotten if that changes much."""
        self._window = max(maxsize, 1)
        lasts = self._window * self._per_weight
        if not _MOMENTS / 4 <= lasts <= _MOMENTS * 4:
            lasts = _MOMENTS
            self._per_weight = _MOMENTS / self._window
            # The moments in it have another length now.
            self._begin(len(self._slots))
        self._lasts = int(lasts)

    def remember(self, key: Hashable, weight: float) -> None:
        """Take in a key that was evicted now."""
        mixed = hash(key) * MIXER
        moment = int(self._evicted * self._per_weight) & _LOW
        self._slots[mixed >> _PLACE & self._mask] = (mixed >> _BITS & _LOW) << _BITS | moment
        self._evicted += weight
        self._until_fit -= 1
        if not self._until_fit:
            self._fit()

    def recall(self, key: Hashable) -> bool:
        """Return whether a key is remembered, and forget it."""
        mixed = hash(key) * MIXER
        place = mixed >> _PLACE & self._mask
        found = self._slots[place]
        if not found or found >> _BITS != mixed >> _BITS & _LOW:
            return False
        self._slots[place] = 0
        moment = int(self._evicted * self._per_weight)
        return moment - found & _LOW <= self._lasts

    def _fit(self) -> None:
        """Make the table as large as what is evicted nowadays asks for."""
        mean = (self._evicted - self._began) / self._newcomers
        is_bounded = mean and self._window < math.inf
        wanted = max(_FEWEST, _SPARSE * self._window / mean) if is_bounded else _FEWEST
        size = len(self._slots)
        if not wanted <= size <= 4 * wanted:
            self._begin(1 << math.ceil(math.log2(wanted)))
        else:
            self._count_anew()

    def _begin(self, size: int) -> None:
        """Remember nothing, in a table of a size that is a power of two."""
        self._slots = array("I", [0]) * size
        self._mask = size - 1
        self._count_anew()

    def _count_anew(self) -> None:
        self._newcomers = self._until_fit = len(self._slots) // _SPARSE
        self._began = self._evicted
