"""What threads do with a cache, each answer checked against what was acknowledged before."""

import math
from collections.abc import Callable

from greencache import MISSING, CacheManager, current_load
from greencache.entry import Entry
from greencache.options import EntryOptions

from .process import KEY, TAG, Process, Verb
from .scheduler import ViolationError, reading, writing
from .world import World

_SEEN = Entry(None, -math.inf, created=-math.inf)
"""An entry that was found due before a reload: not the one that is there by now."""


def _asked(process: Process, ask: Callable[[], object]) -> None:
    """Ask the cache, and check that the answer is no older than what was acknowledged before."""
    world = process.world
    world.run.stop_before(reading("asks", f"{process.name}.L1", f"{process.name}.ledger"))
    floor = process.floor
    world.run.note(floor)
    answer = ask()
    if answer is not MISSING and answer < floor and world.has_one_writer:
        raise ViolationError(f"{process.name} got {answer} after {floor} was acknowledged in it")


def get(process: Process) -> None:
    """Read from the cache alone."""
    _asked(process, lambda: process.cache.get(KEY, MISSING))


def load(process: Process) -> None:
    """Read, or load."""
    _asked(process, lambda: process.cache.get_or_load(KEY, process.world.load, tags=[TAG]))


def load_tagging(process: Process) -> None:
    """Read, or load and say only then which tag the value has."""

    def read_and_tag() -> int:
        version = process.world.load()
        current_load().tags.add(TAG)
        return version

    _asked(process, lambda: process.cache.get_or_load(KEY, read_and_tag))


def reload(process: Process) -> None:
    """Do what a refresh in the background does."""
    options = EntryOptions(tags=[TAG])
    steps = process.reader.leader.reload({KEY: _SEEN}, options)
    process.reader.driver.run(steps, lambda keys: dict.fromkeys(keys, process.world.load()))


def reload_in_vain(process: Process) -> None:
    """Do what a refresh in the background does while the source is down."""
    options = EntryOptions(tags=[TAG], retry_after=1.0)

    def fail(keys: list[str]) -> dict[str, int]:
        raise LookupError(keys)

    process.reader.driver.run(process.reader.leader.reload({KEY: _SEEN}, options), fail)


def changing(call: Callable[[CacheManager, int], object], *, restamps: bool = False) -> Verb:
    """Return a verb that changes the source, tells the cache, and notes that this was acknowledged.

    Args:
        call: Tells the cache; takes it and the new version.
        restamps: Whether stamps are replaced.
    """

    def change(process: Process) -> None:
        run, ledger = process.world.run, f"{process.name}.ledger"
        version = _change_source(process.world)
        call(process.cache, version)
        run.stop_before(writing("is acknowledged", ledger))
        process.floor = max(process.floor, version)

    change.publishes, change.restamps = True, restamps
    return change


def _change_source(world: World) -> int:
    world.run.stop_before(writing("source.change", "source"))
    world.version += 1
    world.run.note(world.version)
    return world.version
