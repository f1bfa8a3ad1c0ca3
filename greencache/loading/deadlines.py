"""When a caller with time-outs looks up from waiting for a load."""

from greencache.options import EntryOptions
from greencache.typing import UNSET, Seconds

__all__ = ["deadlines"]

_LOOKS: tuple[Seconds, ...] = (0.002, 0.008, 0.03, 0.1, 0.4, 1.6, 6.4)
"""Seconds after a soft time-out at which a stale value is looked for that was not there yet."""


def deadlines(options: EntryOptions, since: Seconds, patience: Seconds) -> list[Seconds]:
    """Return until when a caller waits, first for a stale value, then for good.

    Whether there is a stale value is known only once the leader has looked, which may take longer than the
    time-out: so it is looked for again, ever more rarely.
    """
    last = patience
    if options.hard_timeout is not UNSET:
        last = min(last, since + options.hard_timeout)
    if options.soft_timeout is UNSET:
        return [last]
    soft = since + options.soft_timeout
    moments = [soft, *(soft + pause for pause in _LOOKS)]
    return [*(moment for moment in moments if moment < last), last]
