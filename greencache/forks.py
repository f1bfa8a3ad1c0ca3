"""What a child process must forget of its parent.

A fork copies locks that another thread may hold, sockets whose replies belong to the parent, and no
threads at all. Who owns one of these registers a method here; it is called in the child, before any
other code of the child runs.
"""

import itertools
import os
import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["after_fork_in_child"]

_registered: "dict[int, tuple[weakref.ref[Any], Callable[[Any], None]]]" = {}
"""By insertion order: what was built first (the backends) forgets first."""

_numbers = itertools.count()


def after_fork_in_child(method: Callable[[], None]) -> None:
    """Call a bound method in every forked child, for as long as its object lives.

    Args:
        method: Takes nothing; replaces locks and drops sockets without closing what the parent uses.
    """
    number = next(_numbers)
    registered = _registered

    def forget(_: Any) -> None:
        registered.pop(number, None)

    # Not a `WeakMethod`: its own callback complains when it is torn down with the interpreter.
    owner, function = method.__self__, method.__func__  # type: ignore[attr-defined]  # a bound method has them
    registered[number] = (weakref.ref(owner, forget), function)


def _run_in_child() -> None:
    for reference, function in list(_registered.values()):
        owner = reference()
        if owner is not None:
            function(owner)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_run_in_child)
