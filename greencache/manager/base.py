"""What all verbs share: the engine behind them, and their options."""

from collections.abc import Iterable, Mapping
from typing import Final

from greencache.engine import Engine
from greencache.entry import Entry
from greencache.errors import InvalidKeyError
from greencache.keys import check_key, check_tag
from greencache.options import EntryOptionArguments, EntryOptions
from greencache.typing import Key

__all__ = ["Verbs", "checked_keys", "not_one_text"]

_MOST_CHOSEN: Final = 256
"""Options of calls that are kept with what came of them."""


class Verbs:
    """The engine of a cache, and the options of its entries.

    Args:
        engine: Does the work.
        defaults: Options of entries for which a call gives none.
    """

    def __init__(self, engine: Engine, defaults: EntryOptions) -> None:
        self._engine = engine
        self._defaults = defaults
        # What an L1 hit touches, without a detour through the engine.
        self._index: Mapping[Key, Entry] = engine.index
        self._counters = engine.memory_counters
        self._now = engine.clock.now
        self._bus = engine.bus
        self._chosen: dict[object, EntryOptions] = {}

    def _options(self, options: EntryOptionArguments) -> EntryOptions:
        """Return the options of a call over the defaults, checked."""
        if not options:
            return self._defaults
        # A program has few ways to call, unless it makes tags of what it reads, and checking one takes half
        # as long as a store. The kinds too, since True is 1 and no ttl.
        call = None if "tags" in options else (*options.items(), *map(type, options.values()))
        try:
            known = self._chosen.get(call)
        except TypeError:  # something that is no option, which is told below
            known = call = None
        if known is not None:
            return known
        chosen = self._checked(options)
        if call is not None:
            if len(self._chosen) >= _MOST_CHOSEN:
                self._chosen.clear()
            self._chosen[call] = chosen
        return chosen

    def _checked(self, options: EntryOptionArguments) -> EntryOptions:
        chosen = self._defaults.replaced(options)
        if "tags" in options:
            for tag in chosen.tags:
                check_tag(tag)
        if "tier" in options and chosen.tier is not None:
            self._engine.stack.check_tier(chosen.tier)
        return chosen


def checked_keys(keys: Iterable[Key]) -> list[Key]:
    """Return keys, each once, after checking them."""
    return list(dict.fromkeys(map(check_key, not_one_text(keys))))


def not_one_text(names: Iterable[str]) -> Iterable[str]:
    """Return names, after refusing a text, whose characters nobody means.

    Raises:
        InvalidKeyError: If it is one text.
    """
    if isinstance(names, str):
        raise InvalidKeyError(f"expected several names, got the one text {names!r}; put it into a list")
    return names
