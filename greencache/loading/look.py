"""What L1 has of some keys, at one moment, and what of it can be proved."""

import dataclasses
from typing import Final

from greencache.entry import Entry, State, judge
from greencache.tiers.stack import Stack
from greencache.typing import MISSING, CacheTier, Key

__all__ = ["Look", "look_in_memory"]


@dataclasses.dataclass(slots=True)
class Look:
    """A look into L1. Nobody changes it; made frozen, it would take as long as the look.

    Args:
        found: Entries to be served.
        stale: Entries to be served only if nothing better can be had.
        doubted: Entries that may have been dropped elsewhere without being heard of.
    """

    found: dict[Key, Entry]
    stale: dict[Key, Entry]
    doubted: dict[Key, Entry]


_NOTHING: Final = Look({}, {}, {})


def look_in_memory(stack: Stack, keys: list[Key], *, takes_absent: bool = True) -> Look:
    """Look, and mark what is there as hit.

    Args:
        stack: Its first tier may be L1.
        keys: What to look for.
        takes_absent: Whether it is an answer that a loader of many has left a key out.
    """
    if stack.memory is None:
        return _NOTHING
    # Before the look: while it is under way a gap may be mended, and what it found be outdated.
    is_heard = stack.is_heard
    entries = stack.memory.get_many(keys)
    now = stack.clock.now()
    look = Look({}, {}, {})
    for key, entry in entries.items():
        is_served = is_heard and judge(entry, now) <= State.DUE
        if entry.kept is MISSING:
            if is_served and takes_absent:
                look.found[key] = entry
        elif is_served:
            look.found[key] = entry
        elif is_heard and (not stack.is_deaf or entry.tier is CacheTier.L1):
            look.stale[key] = entry
        else:
            # Where nobody tells, what deeper tiers have too is believed for this one's ttl, and no longer.
            look.doubted[key] = entry
    return look
