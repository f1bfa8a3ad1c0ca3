"""Looking through a Cluster while its slots are moved from node to node.

A key that goes from a node that has yet to be looked through to one that has been is seen on neither. So who
owns what is asked before and after, and the slots that have been, or are being, moved are looked at again.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from greencache.backends.redis_errors import without_errors
from greencache.backends.redis_glob import compile_glob
from greencache.backends.redis_node import RedisNode
from greencache.backends.redis_protocol import Argument, pack_batches
from greencache.backends.redis_scan import scan_node
from greencache.backends.redis_slots import SLOTS, Place, SlotMap
from greencache.backends.retry import TransientError
from greencache.typing import Seconds

__all__ = ["ClusterScan"]

_MOST_ROUNDS: Final = 20
"""How often what was moved meanwhile is looked at before the scan counts as incomplete."""
_KEYS_OF_SLOT: Final = 1_000
"""As many are asked for at first; a slot seldom has more."""
_OPEN: Final = re.compile(rb"\[(\d+)-([<>])-\w+\]")
"""How a node says in CLUSTER NODES that it takes over a slot from another, or hands one over."""


class _View(NamedTuple):
    """What a node says of itself."""

    owned: frozenset[int]
    leaving: frozenset[int]
    arriving: frozenset[int]


_NOTHING = _View(frozenset(), frozenset(), frozenset())
_Survey: TypeAlias = Mapping[Place, _View]


class ClusterScan:
    """Finds the keys of all primaries that match a glob.

    Args:
        node: Returns the node at a place.
        match: A glob pattern as Redis understands it.
        count: About how many keys a server looks at for one batch.
        deadline: Seconds for each question.
    """

    def __init__(
        self, node: Callable[[Place], RedisNode], match: str | bytes, count: int, deadline: Seconds
    ) -> None:
        self._node = node
        self._match = match
        self._matches = compile_glob(match).fullmatch
        self._count = count
        self._deadline = deadline

    def run(self, places: Sequence[Place]) -> Iterator[list[bytes]]:
        """Yield keys batch by batch; one that is moved meanwhile may come twice.

        Args:
            places: The primaries that are known.

        Raises:
            TierUnavailableError: Not all keys were looked at.
        """
        survey = self._survey(places)
        for place in survey:
            yield from scan_node(self._node(place), self._match, self._count, self._deadline)
        moved = frozenset[int]().union(*(view.leaving | view.arriving for view in survey.values()))
        for _ in range(_MOST_ROUNDS):
            before, survey = survey, self._survey([*survey])
            moved |= _differences(before, survey)
            if not moved:
                return
            yield from self._look_at(moved, survey)
            moved = frozenset()
        raise TransientError("slots of the Redis Cluster are moved faster than looked at", may_have_run=True)

    def _survey(self, places: Sequence[Place]) -> _Survey:
        """Ask the primaries, and all that they know of, which slots they have."""
        survey: dict[Place, _View] = {}
        owned: set[int] = set()
        unasked = list(places)
        while unasked:
            place = unasked.pop()
            lines, reply = self._ask(place, [("CLUSTER", "NODES"), ("CLUSTER", "SLOTS")])
            slots = SlotMap.from_reply(reply, place[0])
            own = frozenset(slot for slot, owner in enumerate(slots.owners) if owner == place)
            leaving, arriving = _open_slots(lines)
            survey[place] = _View(own, leaving, arriving)
            owned |= own
            unasked += [each for each in slots.places if each not in survey and each not in unasked]
        if len(owned) < SLOTS:
            raise TransientError(
                f"{SLOTS - len(owned)} slots of the Redis Cluster have no owner", may_have_run=True
            )
        return survey

    def _look_at(self, slots: frozenset[int], survey: _Survey) -> Iterator[list[bytes]]:
        """Yield the keys of slots, first where they leave: what is not there any more has arrived by then."""
        for phase in (
            {place: view.leaving for place, view in survey.items()},
            {place: view.owned - view.leaving for place, view in survey.items()},
            {place: view.arriving - view.owned for place, view in survey.items()},
        ):
            for place, there in phase.items():
                yield from self._keys_of(place, sorted(slots & there), _KEYS_OF_SLOT)

    def _keys_of(self, place: Place, slots: Sequence[int], most: int) -> Iterator[list[bytes]]:
        replies = self._ask(place, [("CLUSTER", "GETKEYSINSLOT", slot, most) for slot in slots])
        more = [slot for slot, names in zip(slots, replies, strict=True) if len(names) == most]
        if more:
            yield from self._keys_of(place, more, 10 * most)
        for names in replies:
            if matching := [name for name in names if self._matches(name)]:
                yield matching

    def _ask(self, place: Place, commands: Iterable[Sequence[Argument]]) -> list[Any]:
        node = self._node(place)
        replies: list[Any] = []
        for packed, count in pack_batches(commands):
            replies += node.exchange(packed, count, self._deadline, repeatable=True)
        return without_errors(replies)


def _open_slots(lines: bytes) -> tuple[frozenset[int], frozenset[int]]:
    """Return which slots leave the node that has answered, and which arrive there."""
    own = next(line for line in lines.splitlines() if b"myself" in line)
    found = [(int(slot), way) for slot, way in _OPEN.findall(own)]
    return (
        frozenset(slot for slot, way in found if way == b">"),
        frozenset(slot for slot, way in found if way == b"<"),
    )


def _differences(before: _Survey, after: _Survey) -> frozenset[int]:
    """Return the slots of which a node says something else than before."""
    pairs = [(before.get(place, _NOTHING), after.get(place, _NOTHING)) for place in {*before, *after}]
    return frozenset[int]().union(
        *(old ^ new for first, second in pairs for old, new in zip(first, second, strict=True))
    )
