"""From the misses of each key to ratios."""

from array import array

from greencache.simulate.outcome import Outcome
from greencache.simulate.spool import Spool

__all__ = ["Tally"]


class Tally:
    """Counts the misses of each key; bytes and costs follow from them.

    Args:
        spool: The trace.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.misses: array[int] = array("q", [0]) * spool.unique

    def outcome(self, policy: str, size: int) -> Outcome:
        """Return what the misses amount to."""
        spool, misses = self._spool, self.misses
        return Outcome(
            policy=policy,
            size=size,
            hit_ratio=1 - sum(misses) / spool.requests,
            byte_hit_ratio=_saved(misses, spool.counts, spool.sizes) or 0.0,
            cost_saved=_saved(misses, spool.counts, spool.costs),
        )


def _saved(misses: "array[int]", counts: "array[int]", values: "array[int] | array[float]") -> float | None:
    """Return which part of what all requests together are worth was not missed."""
    total = sum(count * value for count, value in zip(counts, values, strict=False))
    if not total:
        return None
    return 1 - sum(miss * value for miss, value in zip(misses, values, strict=False)) / total
