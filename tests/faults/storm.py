"""A storm: processes on two hosts read, write and forget the same keys, while some of them are killed."""

import collections
import contextlib
import json
import os
import pathlib
import random
import signal
import threading
import time

from greencache.testing import wait_until
from tests.faults.child import SPAWN
from tests.faults.history import check, read_histories
from tests.faults.storm_plan import MAX_STALENESS, NOTICE, PROCESSES, WRITERS, Board, Phase
from tests.faults.storm_worker import run_worker

__all__ = ["Storm"]


class Storm:
    """Starts the workers, kills some, and collects what they have written down.

    Args:
        plan: What is to be done.
        nemesis: Is called again and again while it rages, to break something; returns what it was.
    """

    def __init__(self, plan, nemesis=None):
        self._plan = plan
        self._board = Board()
        self._folder = pathlib.Path(plan.folder)
        self._chance = random.Random(plan.seed)
        self._workers = {}
        self._started = 0
        self.kills = 0
        """Workers killed."""
        self.kills_in_load = 0
        """Of these, the ones that were in a loader."""
        self._nemesis = nemesis
        self.faults = collections.Counter()
        """How often the nemesis has broken what."""
        self.seconds = 0.0
        """How long it raged: until the last one killed was replaced."""

    def run(self):
        """Let it rage, and wait until all who are left have settled."""
        try:
            for slot in range(PROCESSES):
                self._start(slot)
            self._await_all(Phase.STORMING, "the workers are ready")
            self._board.phase.value = Phase.STORMING
            with self._haunted():
                self._rage()
            self._board.phase.value = Phase.SETTLING
            self._await_all(Phase.SETTLING, "the workers have stopped")
            self._await_all(Phase.OVER, "the workers have settled")
            for worker in self._workers.values():
                worker.join(30)
        finally:
            for worker in self._workers.values():
                worker.kill()
                worker.join(10)

    def _start(self, slot):
        self._started += 1
        arguments = (self._plan, self._board, slot, self._started)
        self._workers[slot] = SPAWN.Process(target=run_worker, args=arguments)
        self._workers[slot].start()

    def _await_all(self, phase, reason):
        wait_until(lambda: self._are_all(phase), deadline=150, interval=0.05, reason=reason)

    def _are_all(self, phase):
        for slot, worker in self._workers.items():
            if self._board.states[slot] < phase and not worker.is_alive():
                raise AssertionError(f"worker {slot} has ended with code {worker.exitcode}:\n{self.errors()}")
        return min(self._board.states) >= phase

    @contextlib.contextmanager
    def _haunted(self):
        """Let the nemesis work while the body runs."""
        is_over = threading.Event()
        ghost = threading.Thread(target=self._haunt, args=(is_over,), daemon=True)
        if self._nemesis is not None:
            ghost.start()
        try:
            yield
        finally:
            is_over.set()
            if self._nemesis is not None:
                ghost.join(60)

    def _haunt(self, is_over):
        # The pause lets the cache come back to its normal course between two faults, or not quite.
        while not is_over.wait(self._chance.uniform(0.0, 0.6)):
            self.faults[self._nemesis()] += 1

    def _rage(self):
        """Kill one reader after the other, each as soon as the one before has been replaced."""
        began = time.monotonic()
        ends_at = began + self._plan.seconds
        while time.monotonic() < ends_at:
            slot = self._await_victim(ends_at)
            if slot is not None:
                self._kill(slot)
                self._start(slot)
                wait_until(
                    lambda slot=slot: self._board.states[slot] >= Phase.STORMING,
                    deadline=60,
                    reason=f"worker {slot} is replaced",
                )
        self.seconds = time.monotonic() - began

    def _await_victim(self, ends_at):
        """Return a reader that is in a loader now; `None` if the storm ends before there is one."""
        slots = list(range(WRITERS, PROCESSES))
        while time.monotonic() < ends_at:
            self._chance.shuffle(slots)
            for slot in slots:
                if self._board.is_loading(slot):
                    return slot
            time.sleep(0.001)
        return None

    def _kill(self, slot):
        victim = self._workers[slot]
        os.kill(victim.pid, signal.SIGKILL)
        victim.join(30)
        self.kills += 1
        # The dead change nothing any more: what the flag says now is what it said at the end.
        self.kills_in_load += self._board.is_loading(slot)
        self._board.clear(slot)

    # -- what came of it -------------------------------------------------------------------------------

    def verdict(self):
        """Return what the checker finds in the histories."""
        return check(read_histories(self._folder), MAX_STALENESS, NOTICE)

    def errors(self):
        """Return what went wrong in workers, as text."""
        return "\n".join(path.read_text() for path in sorted(self._folder.glob("*.error")))

    def total(self, *path):
        """Return the sum of a figure over the reports of all workers that were not killed."""
        total = 0
        for report in self._folder.glob("*.report"):
            figure = json.loads(report.read_text())
            for name in path:
                figure = figure.get(name, 0) if isinstance(figure, dict) else figure
            total += figure
        return total
