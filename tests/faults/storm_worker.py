"""One process of a storm: threads that read, and for some keys one that writes."""

import collections
import functools
import json
import pathlib
import random
import threading
import time
import traceback

from greencache import MISSING
from greencache.errors import InvalidationPending
from greencache.events import EventKind
from greencache.testing import WaitTimeoutError, wait_until
from tests.faults.history import History, Op
from tests.faults.storm_plan import KEYS, NAMES, THREADS, Phase, owner, prefix, remove_guard

__all__ = ["run_worker"]

EPOCHS = frozenset(
    {EventKind.BUS_GAP, EventKind.BUS_LOST, EventKind.BUS_BACK, EventKind.TIER_DOWN, EventKind.TIER_UP}
)
_SLOWEST_LOAD = 0.06
_LONGEST_SETTLING = 30.0


def run_worker(plan, board, slot, number):
    """Take part in a storm; what a process is started with."""
    remove_guard(plan.without)
    Worker(plan, board, slot, number).run()


class Counted:
    """A recorder that counts, and notes in a history when the process was told what it cannot prove.

    Args:
        history: Of the process.
    """

    def __init__(self, history):
        self._history = history
        self.kinds = collections.Counter()

    def record(self, event):
        """Count an event."""
        self.kinds[event.kind.value] += 1
        if event.kind in EPOCHS:
            self._history.note(Op.EPOCH, 0, 0, time.monotonic())


class Worker:
    """One process of the storm.

    Args:
        plan: What is to be done.
        board: The shared memory.
        slot: Which of the workers it is; the first ones write.
        number: No other process has it, a replacement in the same slot included.
    """

    def __init__(self, plan, board, slot, number):
        self._plan = plan
        self._board = board
        self._slot = slot
        self._number = number
        self._folder = pathlib.Path(plan.folder)
        self._history = History(plan.folder, number)
        self._recorder = Counted(self._history)
        self._cache = plan.cache(slot, self._recorder)
        self._own_keys = [key for key in range(KEYS) if owner(key) == slot]
        self._counts = collections.Counter()

    def run(self):
        """Take part from beginning to end."""
        board = self._board
        self._note_state(Phase.STORMING)
        wait_until(lambda: board.phase.value >= Phase.STORMING, deadline=120, reason="the storm begins")
        jobs = [functools.partial(self._read, thread) for thread in range(THREADS)]
        if self._own_keys:
            jobs.append(self._write)
        threads = [threading.Thread(target=self._guarded, args=(job,), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self._plan.seconds + 60)
            if thread.is_alive():
                self._report_error(f"{thread.name} is stuck")
        self._note_state(Phase.SETTLING)
        wait_until(lambda: board.phase.value >= Phase.SETTLING, deadline=120, reason="the storm is over")
        if not self._plan.without:
            self._settle()
        self._write_report()
        self._cache.close()
        self._note_state(Phase.OVER)

    def _note_state(self, state):
        self._board.states[self._slot] = state

    def _guarded(self, job):
        try:
            job()
        except BaseException:
            self._report_error(traceback.format_exc())

    def _report_error(self, text):
        with (self._folder / f"{self._number:04d}.error").open("a") as file:
            file.write(text)

    def _write_report(self):
        report = {
            "events": dict(self._recorder.kinds),
            "counts": dict(self._counts),
            "stats": self._cache.get_stats().as_dict(),
        }
        (self._folder / f"{self._number:04d}.report").write_text(json.dumps(report))

    # -- reading ---------------------------------------------------------------------------------------

    def _read(self, thread):
        chance = random.Random(f"{self._plan.seed}-{self._number}-{thread}")
        flag = self._slot * THREADS + thread
        while self._board.phase.value == Phase.STORMING:
            for _ in range(10):
                self._read_once(chance, flag)
            # The time that callers think: a closed loop of hits would leave the writers no processor.
            time.sleep(chance.uniform(0.0, 0.01))

    def _read_once(self, chance, flag):
        kind = chance.random()
        keys = chance.sample(range(KEYS), 4) if kind > 0.9 else [chance.randrange(KEYS)]
        tags = [prefix(keys[0])]
        start = time.monotonic()
        if kind < 0.75:
            found = {NAMES[keys[0]]: self._load_one(keys[0], chance, flag)}
        elif kind < 0.9:
            found = {NAMES[keys[0]]: self._cache.get(NAMES[keys[0]], MISSING)}
        elif kind < 0.95:
            found = self._cache.mget([NAMES[key] for key in keys])
        else:
            # Of one group, since the tags of a call are those of all its keys.
            keys = [key for key in range(KEYS) if prefix(key) == tags[0]]
            load = functools.partial(self._load, chance, flag)
            found = self._cache.get_or_load_many([NAMES[key] for key in keys], load, tags=tags)
        self._note_reads(keys, found, start)

    def _load_one(self, key, chance, flag):
        name = NAMES[key]
        return self._cache.get_or_load(
            name, lambda: self._load(chance, flag, [name])[name], tags=[prefix(key)]
        )

    def _load(self, chance, flag, names):
        """Read the source, and take a while to return what it said at the beginning."""
        start = time.monotonic()
        keys = [NAMES.index(name) for name in names]
        versions = [self._board.versions[key] for key in keys]
        self._board.loading[flag] = 1
        time.sleep(chance.uniform(0.0, _SLOWEST_LOAD))
        self._board.loading[flag] = 0
        for key, version in zip(keys, versions, strict=True):
            self._history.note(Op.LOAD, key, version, start)
        return {NAMES[key]: [key, version] for key, version in zip(keys, versions, strict=True)}

    def _note_reads(self, keys, found, start):
        for key in keys:
            value = found.get(NAMES[key], MISSING)
            if value is not MISSING:
                if value[0] != key:
                    raise AssertionError(f"asked for {key}, got the value of {value[0]}")
                self._history.note(Op.READ, key, value[1], start)

    # -- writing ---------------------------------------------------------------------------------------

    def _write(self):
        chance = random.Random(f"{self._plan.seed}-{self._number}-writer")
        ways = {
            self._drop: 30, self._drop_any: 15, self._drop_tag: 15, self._drop_pattern: 10,
            self._write_source: 15, self._set: 15, self._clear: 0.3,
        }  # fmt: skip
        while self._board.phase.value == Phase.STORMING:
            (way,) = chance.choices(list(ways), list(ways.values()))
            try:
                way(chance)
            except InvalidationPending:
                # Not acknowledged, so nothing is promised yet; but the end is the same.
                self._counts["pending"] += 1
            time.sleep(chance.uniform(0.0, 0.05))

    def _advance(self, key):
        """Change the source, and return the new version; nobody else writes this key."""
        self._board.versions[key] += 1
        return self._board.versions[key]

    def _drop(self, chance):
        key = chance.choice(self._own_keys)
        start, version = time.monotonic(), self._advance(key)
        self._cache.invalidate(NAMES[key])
        self._history.note(Op.DROP, key, version, start)

    def _drop_any(self, chance):
        """Drop somebody else's key, out of step with its writer."""
        key = chance.randrange(KEYS)
        start, version = time.monotonic(), self._board.versions[key]
        self._cache.delete(NAMES[key])
        self._history.note(Op.DROP, key, version, start)

    def _drop_tag(self, chance):
        self._drop_group(chance, Op.TAG, lambda name: self._cache.invalidate(tags=[name]))

    def _drop_pattern(self, chance):
        self._drop_group(chance, Op.PATTERN, lambda name: self._cache.invalidate(pattern=f"{name}:*"))

    def _drop_group(self, chance, op, forget):
        name = prefix(chance.choice(self._own_keys))
        start = time.monotonic()
        versions = {key: self._advance(key) for key in self._own_keys if prefix(key) == name}
        forget(name)
        for key, version in versions.items():
            self._history.note(op, key, version, start)

    def _write_source(self, chance):
        key = chance.choice(self._own_keys)
        start = time.monotonic()
        self._cache.write(NAMES[key], None, lambda _: self._advance(key))
        self._history.note(Op.WRITE, key, self._board.versions[key], start)

    def _set(self, chance):
        key = chance.choice(self._own_keys)
        start, version = time.monotonic(), self._advance(key)
        self._cache.set(NAMES[key], [key, version], tags=[prefix(key)])
        self._history.note(Op.SET, key, version, start)

    def _clear(self, _):
        start, versions = time.monotonic(), list(self._board.versions)
        self._cache.clear()
        for key, version in enumerate(versions):
            self._history.note(Op.CLEAR, key, version, start)

    # -- afterwards ------------------------------------------------------------------------------------

    def _settle(self):
        """Find every key at its last version, and in L1."""
        ends_at = time.monotonic() + _LONGEST_SETTLING
        for key in range(KEYS):
            try:
                wait_until(
                    functools.partial(self._is_settled, key),
                    deadline=ends_at - time.monotonic(),
                    reason=f"{NAMES[key]} is at its last version, and in L1",
                )
            except WaitTimeoutError as error:
                self._counts["stuck"] += 1
                self._report_error(f"{error}\n")

    def _is_settled(self, key):
        start = time.monotonic()
        value = self._load_one(key, random.Random(key), self._slot * THREADS)
        self._note_reads([key], {NAMES[key]: value}, start)
        hits = self._cache.get_stats()["L1"].hits
        again = self._cache.get(NAMES[key])
        is_hit = self._cache.get_stats()["L1"].hits == hits + 1
        return is_hit and again == value == [key, self._board.versions[key]]
