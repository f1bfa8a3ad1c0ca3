"""What a database says has changed, forgotten in every tier and process."""

import functools
from collections.abc import Callable

from greencache.coherence import Coherence
from greencache.errors import InvalidArgumentError, InvalidationPending
from greencache.keys import Pattern
from greencache.outbox.base import Change
from greencache.tiers.base import Refreshable
from greencache.tiers.stack import Stack

__all__ = ["ChangeApplier"]


class ChangeApplier:
    """Invalidates what has changed, as a caller of the cache would: `greencache.outbox.base.ChangeSink`.

    Args:
        stack: The tiers.
        coherence: Keeps them, and other processes, in line.
    """

    def __init__(self, stack: Stack, coherence: Coherence) -> None:
        self._stack = stack
        self._coherence = coherence

    @property
    def is_settled(self) -> bool:
        """Whether no tier still has to be told of anything."""
        return not any(tier.waiting for tier in self._stack.shared)

    def apply(self, change: Change) -> bool:
        """Forget what has changed, and return whether every tier was reached."""
        if change.is_everything:
            return self._is_done(self._coherence.drop_everything)
        coherence, is_done = self._coherence, True
        if change.keys or change.tags:
            keys, tags = list(change.keys), list(change.tags)
            is_done = self._is_done(functools.partial(coherence.invalidate, keys, None, tags))
        for pattern in map(Pattern, change.patterns):
            # Each for itself: one that could not reach a tier does not keep the others from being done.
            is_done = self._is_done(functools.partial(coherence.invalidate, [], pattern, [])) and is_done
        if change.refreshed or change.refreshed_patterns:
            keys, patterns = list(change.refreshed), list(map(Pattern, change.refreshed_patterns))
            forget = functools.partial(coherence.forget_refreshed, keys, patterns)
            is_done = self._is_done(forget) and is_done
        return is_done

    def refresh_view(self, name: str) -> bool:
        """Make a view anew, forget what that changes, and return whether this call has done it.

        Raises:
            InvalidArgumentError: If there is no such view.
            TierUnavailableError: The database did not answer in time, or refused.
        """
        known: list[str] = []
        for guarded in self._stack.shared:
            tier = guarded.tier
            if isinstance(tier, Refreshable):
                if name in tier.views:
                    refresh = tier.refresh(name)
                    # The outbox says so too, a little later, for when this process ends right here.
                    self.apply(Change(refreshed=refresh.keys, refreshed_patterns=refresh.patterns))
                    return refresh.is_done
                known.extend(tier.views)
        raise InvalidArgumentError(f"expected one of the views {known}, got {name!r}")

    @staticmethod
    def _is_done(forget: Callable[[], object]) -> bool:
        try:
            forget()
        except InvalidationPending:
            return False
        return True
