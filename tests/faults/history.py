"""What processes did to a cache, on one time line, and what none of them may have seen.

Each process appends to a file of its own, one record a key and call, with the times of a clock that all
processes of a machine share (CLOCK_MONOTONIC). A process that is killed loses at most the record it was
writing. The checker knows nothing of the cache: only versions, and when which of them were acknowledged as
forgotten.
"""

import bisect
import collections
import enum
import itertools
import pathlib
import struct
import time
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["FORGETTING", "History", "Op", "Record", "Verdict", "check", "percentiles", "read_histories"]

_LAYOUT = struct.Struct("<ddHBHq")


class Op(enum.IntEnum):
    """What was done."""

    READ = 0
    """A version was returned to a caller."""
    LOAD = 1
    """The loader ran, and read this version from the source when it began."""
    DROP = 2
    TAG = 3
    PATTERN = 4
    CLEAR = 5
    WRITE = 6
    SET = 7
    EPOCH = 8
    """The process was told that what it knew cannot be proved: a gap, or an outage begins or ends."""


FORGETTING = frozenset({Op.DROP, Op.TAG, Op.PATTERN, Op.CLEAR, Op.WRITE, Op.SET})
"""When one of these returns, whatever is older than its version is forgotten."""


class Record(NamedTuple):
    """One call, as far as it is about one key; times in seconds of the machine's monotonic clock."""

    start: float
    end: float
    process: int
    op: Op
    key: int
    version: int


class History:
    """The file that one process appends to, from any of its threads.

    Args:
        folder: Where the histories of all processes are.
        process: The number of this one.
    """

    def __init__(self, folder, process):
        # Unbuffered, so that what happened before a SIGKILL is known; and one write a record, so that
        # threads do not mix theirs.
        self._file = (pathlib.Path(folder) / f"{process:04d}.history").open("ab", buffering=0)
        self._process = process

    def note(self, op, key, version, start):
        """Append a call that ends now."""
        self._file.write(_LAYOUT.pack(start, time.monotonic(), self._process, op, key, version))

    def close(self):
        """Close the file."""
        self._file.close()


def read_histories(folder):
    """Return all records, without the torn last one of a process that was killed."""
    records = []
    for path in sorted(pathlib.Path(folder).glob("*.history")):
        written = path.read_bytes()
        whole = len(written) - len(written) % _LAYOUT.size
        for start, end, process, op, key, version in _LAYOUT.iter_unpack(written[:whole]):
            records.append(Record(start, end, process, Op(op), key, version))
    return records


class Verdict(NamedTuple):
    """What the checker found.

    Args:
        own: Reads of something older than what the same process had forgotten before they began.
        others: Reads of something older than what any process had forgotten more than `max_staleness`
            before they began.
        back: Reads of something older than what the same process had read before they began, and no epoch
            lay between the two, nor followed within the time that it takes to notice one.
        ages: For each read in between, the seconds since what it returned had been forgotten.
        needless: Loads although, since the load of the key before, nothing was done that made it forgotten.
        counts: How many records there are of each operation.
        latencies: The seconds that reads took.
    """

    own: list[Record]
    others: list[Record]
    back: list[Record]
    ages: list[float]
    needless: list[Record]
    counts: dict[str, int]
    latencies: list[float]


class _Stairs:
    """The highest level reached by each moment."""

    def __init__(self, steps):
        ordered = sorted(steps)
        self._moments = [moment for moment, _ in ordered]
        self._levels = list(itertools.accumulate((level for _, level in ordered), max))

    def before(self, moment):
        """Return the highest level reached before a moment; `None` if there is none."""
        index = bisect.bisect_left(self._moments, moment)
        return self._levels[index - 1] if index else None

    def first_above(self, level):
        """Return the moment at which a level was first exceeded."""
        return self._moments[bisect.bisect_right(self._levels, level)]


_NOWHERE = _Stairs(())


def check(records: Iterable[Record], max_staleness: float, notice: float = 0.0) -> Verdict:
    """Return what a history shows.

    Args:
        records: Of all processes, in any order.
        max_staleness: Seconds after an acknowledgement in another process within which reads may be older.
        notice: Seconds that a process may take to notice that it must begin a new epoch.
    """
    records = list(records)
    forgotten = [each for each in records if each.op in FORGETTING]
    everywhere = _stairs((each.key, each.end, each.version) for each in forgotten)
    at_home = _stairs(((each.key, each.process), each.end, each.version) for each in forgotten)
    reads = [each for each in records if each.op is Op.READ]
    own, others, ages = [], [], []
    for read in reads:
        if _is_older(read, at_home.get((read.key, read.process)), read.start):
            own.append(read)
        floor = everywhere.get(read.key)
        if _is_older(read, floor, read.start):
            ages.append(read.start - floor.first_above(read.version))
            if ages[-1] > max_staleness:
                others.append(read)
    counts = collections.Counter(each.op.name.lower() for each in records)
    epochs = _stairs((each.process, each.end, each.end) for each in records if each.op is Op.EPOCH)
    latencies = [each.end - each.start for each in reads]
    needless = _needless_loads(records, forgotten)
    return Verdict(
        own, others, _reads_that_go_back(reads, epochs, notice), ages, needless, dict(counts), latencies
    )


def _stairs(steps):
    by_name = collections.defaultdict(list)
    for name, moment, level in steps:
        by_name[name].append((moment, level))
    return {name: _Stairs(each) for name, each in by_name.items()}


def _is_older(read, floor, moment):
    least = None if floor is None else floor.before(moment)
    return least is not None and read.version < least


def _reads_that_go_back(reads, epochs, notice):
    # For each process and key, the newest version read by each moment, and by when it had been read.
    seen = collections.defaultdict(list)
    for each in sorted(reads, key=lambda read: read.end):
        steps = seen[each.key, each.process]
        if not steps or each.version > steps[-1][1]:
            steps.append((each.end, each.version))
    back = []
    for each in reads:
        steps = seen[each.key, each.process]
        index = bisect.bisect_left(steps, (each.start, -1))
        if index and each.version < steps[index - 1][1]:
            newer = min(end for end, version in steps[:index] if version > each.version)
            epoch = epochs.get(each.process, _NOWHERE).before(each.end + notice)
            if epoch is None or epoch < newer:
                back.append(each)
    return back


def _needless_loads(records, forgotten):
    """Return the loads that nothing explains: no call that forgets was under way since the one before."""
    # The latest end among the calls that had begun by a moment: is it after the load before?
    ends = _stairs((each.key, each.start, each.end) for each in forgotten)
    loads = collections.defaultdict(list)
    for each in records:
        if each.op is Op.LOAD:
            loads[each.key].append(each)
    needless = []
    for key, each in loads.items():
        for first, second in itertools.pairwise(sorted(each)):
            last_end = ends.get(key, _NOWHERE).before(second.start)
            if last_end is None or last_end < first.start:
                needless.append(second)
    return needless


def percentiles(seconds):
    """Return the median, the 99th percentile and the maximum, in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {"p50_ms": None, "p99_ms": None, "max_ms": None}

    def at(part):
        return round(1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))], 3)

    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0)}
