"""Patterns over keys, `user:*`: matched here exactly, and by servers roughly but never expensively."""

import re
from collections.abc import Callable

from greencache.errors import InvalidKeyError
from greencache.keys.names import check_text, storage_text
from greencache.typing import Key

__all__ = ["MAX_WILDCARD_RUNS", "Pattern"]

MAX_WILDCARD_RUNS = 16
"""How many groups of neighbouring wildcards a pattern may have."""

_TOKENS = re.compile(r"\\[*?\\]|\*+|\?|[^*?\\]+|\\", re.DOTALL)
_GLOB_SPECIALS = str.maketrans({character: "\\" + character for character in "*?[]\\"})
_LIKE_SPECIALS = str.maketrans({character: "\\" + character for character in "%_\\"})


class Pattern:
    r"""A pattern over whole keys: `*` is any run of characters, also none; `?` is one character.

    `\*`, `\?` and `\\` stand for the characters themselves, everything else is literal: brackets, braces and
    percent signs too. Put foreign text into a pattern only through `Pattern.escape`.

    Args:
        text: The pattern, at most 1024 bytes, with at most 16 groups of neighbouring wildcards.

    Raises:
        InvalidKeyError: Not text, empty, too long, or with too many wildcards.
    """

    __slots__ = ("_matches", "_parts", "literal", "text")

    literal: Key | None
    """The one key that matches, if there is no wildcard; else None."""

    text: str
    """The pattern as it was given."""

    def __init__(self, text: str) -> None:
        self.text = check_text(text, "pattern")
        tokens = [token[:1] if token.startswith("**") else token for token in _TOKENS.findall(self.text)]
        self._parts = _literal_parts(tokens)
        runs = len(self._parts) - 1
        if runs > MAX_WILDCARD_RUNS:
            raise InvalidKeyError(
                f"expected a pattern of at most {MAX_WILDCARD_RUNS} groups of wildcards, got {runs}; "
                f"use several patterns, or tags",
            )
        self.literal = None if runs else self._parts[0]
        self._matches: Callable[[str], object] = re.compile(_expression(tokens), re.DOTALL).fullmatch

    @staticmethod
    def escape(text: str) -> str:
        """Return `text` such that a pattern takes all of it literally."""
        return text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")

    def matches(self, key: Key) -> bool:
        """Tell whether the whole of `key` fits; time is bounded by length of key times length of pattern."""
        return self._matches(key) is not None

    def glob(self, prefix: str = "", suffix: str = "") -> str:
        """Return a Redis MATCH glob for `prefix + storage_text(key) + suffix`, all matching keys included.

        It may find more: `?` becomes `*`, for one character can be three in storage, and of the literal parts
        only the first, the last and the longest between are kept. Two `*` are harmless on any server, many
        are not (CVE-2022-36021, CVE-2024-31228). So check what was found with `matches(restore_text(...))`.

        Args:
            prefix: Literal text before the key.
            suffix: Literal text behind the key.
        """
        return "*".join(part.translate(_GLOB_SPECIALS) for part in self._coarse_parts(prefix, suffix))

    def like(self, prefix: str = "", suffix: str = "") -> str:
        r"""Return an SQL LIKE pattern (ESCAPE '\') for `prefix + storage_text(key) + suffix`.

        As with `glob` it may find more, so check what was found with `matches(restore_text(...))`.
        """
        return "%".join(part.translate(_LIKE_SPECIALS) for part in self._coarse_parts(prefix, suffix))

    def _coarse_parts(self, prefix: str, suffix: str) -> list[str]:
        first, *rest = map(storage_text, self._parts)
        if not rest:
            return [prefix + first + suffix]
        *middle, last = rest
        return [prefix + first, *sorted(middle, key=len)[-1:], last + suffix]

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Pattern) else NotImplemented

    def __hash__(self) -> int:
        return hash((Pattern, self.text))

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


def _literal_parts(tokens: list[str]) -> list[str]:
    """Return the literal text before, between and behind the groups of neighbouring wildcards."""
    parts = [""]
    after_wildcard = False
    for token in tokens:
        is_wildcard = token in ("*", "?")
        if not is_wildcard:
            parts[-1] += _literal(token)
        elif not after_wildcard:
            parts.append("")
        after_wildcard = is_wildcard
    return parts


def _expression(tokens: list[str]) -> str:
    """Return a regular expression that gives each `*` the shortest run and never reconsiders it.

    For this language the shortest run is always right, except before the last part, which the end of the key
    places. Atomic groups keep `re` from trying the others, so there is no catastrophic backtracking.
    """
    fixed = [""]
    for token in tokens:
        if token == "*":  # noqa: S105 -- a wildcard
            fixed.append("")
        else:
            fixed[-1] += "." if token == "?" else re.escape(_literal(token))  # noqa: S105
    if len(fixed) == 1:
        return fixed[0]
    first, *middle, last = fixed
    return first + "".join(f"(?>.*?{part})" for part in middle) + ".*" + last


def _literal(token: str) -> str:
    return token[1:] if len(token) == 2 and token[0] == "\\" else token  # noqa: PLR2004 -- an escape is a pair
