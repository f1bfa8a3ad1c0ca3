"""Makes what tiers need on their servers, once each server can be reached."""

from collections.abc import Iterable

from greencache.errors import ConfigurationError
from greencache.events import Event, EventKind, Recorder
from greencache.tiers.guarded import GuardedTier

__all__ = ["Installer"]


class Installer:
    """Installs tiers again and again until each has answered once; done twice it does no harm.

    Args:
        tiers: What may have to be installed.
        recorder: Is told of a server that refuses what was described.
    """

    def __init__(self, tiers: Iterable[GuardedTier], recorder: Recorder) -> None:
        self._left = list(tiers)
        self._recorder = recorder

    def install(self) -> None:
        """Install what is left.

        Raises:
            ConfigurationError: If a server refuses what was described.
        """
        self._left = [tier for tier in self._left if not tier.install()]

    def attempt(self) -> None:
        """Install what is left, for a read, which must not fail for it; the health check goes on telling."""
        if not self._left:
            return
        try:
            self.install()
        except ConfigurationError as error:
            self._left = []
            self._recorder.record(Event(EventKind.FEATURE_MISSING, detail={"reason": str(error)}))
