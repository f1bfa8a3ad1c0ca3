"""The parts of loading, put together."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from greencache.background import Background
from greencache.events import Recorder
from greencache.journal import Journal
from greencache.loading.driver import Driver
from greencache.loading.gate import LoadGate
from greencache.loading.leader import Leader
from greencache.loading.maker import EntryMaker
from greencache.loading.notes import Notes
from greencache.loading.reader import Reader
from greencache.loading.witness import Witness
from greencache.stamps import StampTable
from greencache.strategies import Strategy
from greencache.tiers.stack import Stack
from greencache.typing import Seconds

if TYPE_CHECKING:
    from greencache.isolation import Keeper

__all__ = ["assemble"]

_FOREGROUND = 1024
"""Loads with a time-out under way at once; of more than that, callers wait without one. How many of them
run their loader is the gate's matter."""


def assemble(
    stack: Stack,
    *,
    strategy: Strategy,
    stamps: StampTable,
    recorder: Recorder,
    journal: Journal,
    patience: Seconds,
    max_loads: int | None,
    scope: Callable[[], AbstractContextManager[object]] | None,
    keeper: "Keeper | None" = None,
    witness: Witness | None = None,
) -> tuple[Reader, EntryMaker]:
    """Return what reads through a stack, and what makes the entries of values.

    Args:
        stack: The tiers.
        strategy: The order in which they are read and filled.
        stamps: The current stamps.
        recorder: Is told of what happens.
        journal: Remembers what the last reads did.
        patience: Seconds to wait for somebody else's load before loading oneself.
        max_loads: How many loaders may run at once; `None` for any number.
        scope: Is entered around everything that runs on a thread of the cache's own.
        keeper: Keeps callers from changing what others read.
        witness: As of `EntryMaker`.

    Raises:
        ConfigurationError: If a number is out of its range.
    """
    gate = LoadGate(max_loads, patience)
    maker = EntryMaker(stack, stamps, keeper, witness)
    reader = Reader(
        Leader(stack, strategy, maker, notes=Notes(recorder, journal), patience=patience),
        Driver(gate),
        stack,
        patience=patience,
        background=Background(recorder=recorder, scope=scope, longest=patience),
        # None waits for a thread: a loader may wait for another load, which would wait for its thread.
        foreground=Background(_FOREGROUND, 0, recorder=recorder, scope=scope, longest=patience),
    )
    return reader, maker
