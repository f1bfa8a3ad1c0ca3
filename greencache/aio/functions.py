"""Loaders and writers, whether they are awaited or block."""

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

from greencache.aio.offload import Offload
from greencache.typing import Key

__all__ = ["AnyBatchLoader", "Functions", "is_awaited"]

AnyBatchLoader: TypeAlias = Callable[[list[Key]], Any]
"""A loader of many keys that returns a mapping, or something awaitable that does."""


class Functions:
    """Calls what users give.

    Args:
        offload: Makes calls that block. They may block on loads of other tasks, whose own steps and calls
            must not have to wait for them: there are as many threads as there are such calls.
    """

    def __init__(self, offload: Offload) -> None:
        self.offload = offload

    async def ask(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return what a function returns: called in the loop if it is to be awaited, else on a thread."""
        if is_awaited(function):
            return await function(*args)
        result = await self.offload(function, *args)
        # A plain function that returns something awaitable, as lambdas do.
        return await result if inspect.isawaitable(result) else result


def is_awaited(function: Callable[..., Any]) -> bool:
    """Return whether a function is known to be awaited before it is called."""
    # Not what it wraps: a wrapper may well block, to make of a coroutine function a plain one.
    call = getattr(function, "__call__", None)  # noqa: B004 -- not whether there is one, but of what kind
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
