"""Which stamps are current, found out without making any."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from greencache.entry import Entry
from greencache.inspection.findings import StampFinding
from greencache.stamps import StampTable
from greencache.tiers.base import StampStore
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.inspection import examined

__all__ = ["CurrentStamps", "find_current"]

_OURSELVES = "this process"


class CurrentStamps(NamedTuple):
    """The current stamps of some tags.

    Args:
        by_tag: Those that are known.
        source: Who said so: the name of a tier, or "this process".
    """

    by_tag: Mapping[str, str]
    source: str

    def compare(self, entry: Entry) -> tuple[StampFinding, ...]:
        """Return the stamps of an entry beside these."""
        return tuple(
            StampFinding(
                tag=tag,
                carried=carried,
                current=self.by_tag.get(tag),
                is_current=self.by_tag.get(tag) == carried,
            )
            for tag, carried in entry.stamps
        )


def find_current(table: StampTable, tags: Iterable[str]) -> CurrentStamps:
    """Return the current stamps as the authority has them; while it is out of reach, as this process does.

    Args:
        table: What this process knows, and where the truth is kept.
        tags: Which ones.
    """
    wanted = list(dict.fromkeys(tags))
    if table.keepers:
        authority, *others = table.keepers
        found = _find_in(authority, wanted)
        if found is not None:
            for keeper in others:
                # Where the authority has lost one, a read takes it from below.
                missing = [tag for tag in wanted if tag not in found]
                found |= (_find_in(keeper, missing) if missing else None) or {}
            return CurrentStamps(found, authority.name.name)
    return CurrentStamps(table.remembered(wanted), _OURSELVES)


def _find_in(keeper: GuardedTier, tags: list[str]) -> dict[str, str] | None:
    store = keeper.tier
    assert isinstance(store, StampStore)  # noqa: S101 -- the stack makes only such tiers keepers
    return examined(lambda: store.find_stamps(tags))[0]
