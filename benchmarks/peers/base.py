"""What a peer must be able to do."""

import abc
import asyncio
import functools
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

__all__ = ["GetOrCreate", "Peer", "end_tasks", "event_loop"]

GetOrCreate: TypeAlias = Callable[[str, Callable[[], Any]], Any]


class Peer(abc.ABC):
    """A cache in memory, used as its documentation says, by its own bound methods where they fit.

    Libraries are imported when it is made: one that is missing is a finding about that peer only.
    """

    name: ClassVar[str]
    module: ClassVar[str]
    """What a program imports to use it."""
    note: ClassVar[str] = ""
    """What a reader of its figures must know."""
    is_bounded: ClassVar[bool] = True
    """Whether it evicts."""
    is_awaited: ClassVar[bool] = False
    """Whether its verbs are coroutine functions."""
    is_slow: ClassVar[bool] = False
    """Whether a verb takes so long that fewer calls tell enough."""

    get: Callable[[str], Any] | None = None
    """Returns a value; `None` where there is no such verb."""
    set: Callable[[str, Any], Any]
    """Stores one."""
    get_or_create: GetOrCreate | None = None
    """Returns a value, or calls for it once; `None` where there is no such verb."""

    @abc.abstractmethod
    def __init__(self, size: int) -> None:
        """Make an empty one with room for so many entries."""

    def close(self) -> None:  # noqa: B027 -- not all hold something that must be given back
        """Give back what it holds."""


@functools.cache
def event_loop() -> asyncio.AbstractEventLoop:
    """Return the loop that all awaited peers run on: a cache may belong to the one it was used on first."""
    return asyncio.new_event_loop()


def end_tasks() -> None:
    """Cancel what peers have left running on the loop."""

    async def end() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    event_loop().run_until_complete(end())
