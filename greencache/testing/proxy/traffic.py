"""What is wrong with one direction of the traffic through a proxy."""

import dataclasses
import math
import threading
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

from greencache.typing import Seconds

__all__ = ["FIN", "RST", "Cut", "Ending", "Traffic"]

Ending: TypeAlias = Literal["fin", "rst"]

FIN: Final = "fin"
"""A connection ends in good order: its peer reads the end of the stream."""

RST: Final = "rst"
"""A connection ends as when a host has crashed: its peer gets an error."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cut:
    """End connections in the midst of what they carry.

    Args:
        after: How many bytes of a connection still pass, from now on or from its beginning.
        by: `FIN` or `RST`.
        times: How many connections are ended before all is well again; `None` for all.
    """

    after: int
    by: Ending = RST
    times: int | None = 1


class Traffic:
    """One direction: all connections from clients to the server, or all from the server to clients.

    Each attribute may be set at any time, by any thread; it holds for open connections and for later ones.
    """

    latency: Seconds | Callable[[], Seconds] = 0.0
    """Seconds by which each piece is late, or what returns them for each; a change lets go what waits."""

    glue: Seconds = 0.0
    """Seconds that a piece waits for others, to be passed on with them as one."""

    rate: float = math.inf
    """Bytes a second that pass on each connection: 1 is a drip."""

    chunk_size: int | None = None
    """Bytes that are passed on at once, in packets of their own; `None` for all there are."""

    stalled: bool = False
    """Whether nothing passes, not even the end of a connection; what came meanwhile passes afterwards."""

    cut: Cut | None = None
    """Where connections end."""

    rewrite: Callable[[bytes], bytes] | None = None
    """Takes what came and returns what passes: garbage, the same twice, nothing."""

    framed: bool = False
    """Whether `rewrite` is given whole messages of the Redis protocol, one a call, instead of what came."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()
        self._passed = 0
        self._cuts_made = 0

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if not name.startswith("_"):
            self._adopt(name, value)

    @property
    def passed(self) -> int:
        """Bytes that were passed on, over all connections."""
        return self._passed

    def heal(self) -> None:
        """Let everything pass as it comes."""
        for name in _FAULTS:
            self.__dict__.pop(name, None)
        self._on_change()

    def delay(self) -> Seconds:
        """Return by how many seconds a piece is late that comes now."""
        return self.latency() if callable(self.latency) else self.latency

    def count(self, size: int) -> None:
        """Count bytes that were passed on."""
        with self._lock:
            self._passed += size

    def use_up(self, cut: Cut) -> bool:
        """Say whether one more connection is to be ended by a cut."""
        with self._lock:
            if self.cut is not cut:
                return False
            self._cuts_made += 1
            if self._cuts_made == cut.times:
                self.__dict__.pop("cut")
            return True

    def _adopt(self, name: str, value: Any) -> None:
        if name not in _FAULTS:
            del self.__dict__[name]
            raise AttributeError(f"traffic has no fault {name!r}; expected one of {', '.join(_FAULTS)}")
        if name in ("rate", "chunk_size") and value is not None and not value > 0:
            del self.__dict__[name]
            raise ValueError(f"expected a {name} above zero, got {value!r}; `stalled` lets nothing pass")
        if name == "cut":
            self._cuts_made = 0
        self._on_change()


_FAULTS: Final = tuple(Traffic.__annotations__)
