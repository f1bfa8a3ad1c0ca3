"""The same work for each peer."""

import itertools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from benchmarks.peers.base import Peer, event_loop
from benchmarks.timing import Work

__all__ = ["SIZE", "creations", "evictions", "fill", "hits"]

SIZE: Final = 2_000
_KEYS: Final = [f"factor:region{number}:co2" for number in range(1000)]
_FEW: Final = 100


def hits(peer: Peer) -> Work | None:
    """Return work that reads keys that are there."""
    if peer.get is None:
        return None
    keys = _keys_for(peer)
    fill(peer, keys)
    return _calling(peer, peer.get, [(key,) for key in keys])


def creations(peer: Peer) -> Work | None:
    """Return work that asks for keys that are there, with a loader that is never called."""
    create = peer.get_or_create
    if create is None:
        return None
    keys = _keys_for(peer)
    fill(peer, keys)
    return _calling(peer, create, [(key, _never) for key in keys])


def evictions(peer: Peer) -> Work | None:
    """Return work that stores a new key each time, in a cache that is full."""
    if not peer.is_bounded:
        return None
    fill(peer, (f"old:{number}" for number in range(SIZE)))
    numbers = itertools.count()
    count = len(_keys_for(peer))

    def work() -> int:
        calls = [(f"new:{number}", 1.0) for number in itertools.islice(numbers, count)]
        return _calling(peer, peer.set, calls)()

    return work


def fill(peer: Peer, keys: Iterable[str]) -> None:
    """Store a value under each key."""
    _calling(peer, peer.set, [(key, 1.0) for key in keys])()


def _keys_for(peer: Peer) -> list[str]:
    return _KEYS[:_FEW] if peer.is_slow else _KEYS


def _never() -> float:
    raise AssertionError("a hit must not load")


def _calling(peer: Peer, function: Callable[..., Any], calls: list[tuple[Any, ...]]) -> Work:
    """Return work that makes the calls: in a loop, or in a loop on one event loop."""

    def work() -> int:
        for arguments in calls:
            function(*arguments)
        return len(calls)

    async def awaited() -> int:
        for arguments in calls:
            answer: Awaitable[Any] = function(*arguments)
            await answer
        return len(calls)

    return (lambda: event_loop().run_until_complete(awaited())) if peer.is_awaited else work
