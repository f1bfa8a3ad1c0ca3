"""What came, and what somebody probably meant."""

import difflib
from collections.abc import Iterable

__all__ = ["shown", "suggestion"]

_LONGEST = 40


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return what to say about a name that does not exist: the nearest one that does, and all of them.

    Args:
        name: What came.
        known: What could have come.
    """
    names = sorted(known)
    # Case and the choice between - and _ are the commonest mistakes; they must not count as distance.
    folded = {_folded(candidate): candidate for candidate in names}
    near = difflib.get_close_matches(_folded(name), folded, n=1, cutoff=0.5)
    hint = f"did you mean {folded[near[0]]!r}? " if near else ""
    return f"{hint}known here: {', '.join(names) or 'nothing'}"


def shown(value: object) -> str:
    """Return a value as a message shows it: briefly, and by its type if it is no plain one."""
    text = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")
