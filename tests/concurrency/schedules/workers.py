"""Scenes of the background worker: what it takes is run once, what it refuses is not."""

import contextlib
import threading
from collections.abc import Callable
from typing import ClassVar
from unittest import mock

from greencache import background
from greencache.background import Background

from .harness import Scene


class Hired:
    """Stands in for a thread that a pool starts, run by a thread of the scene that is free.

    Args:
        target: What it is to run.
    """

    def __init__(self, *, target: Callable[[], None], **_: object) -> None:
        self.target = target
        self.runner: threading.Thread | None = None
        self.has_ended = threading.Event()

    def start(self) -> None:
        """Leave it to whoever is free."""
        Pool.latest.vacancies.append(self)
        Pool.latest.calls.release()

    def join(self, _: float) -> None:
        """Wait for its end."""
        self.has_ended.wait()

    def __eq__(self, other: object) -> bool:
        """Be the thread that runs it."""
        return self is other or (self.runner is not None and self.runner is other)

    def __hash__(self) -> int:
        return id(self)


class HiringThreading:
    """The module `threading`, whose threads are hired."""

    Thread = Hired

    def __getattr__(self, name: str) -> object:
        return getattr(threading, name)


class Pool(Scene):
    """Two that submit tasks to a worker, which is then closed."""

    threads = ("submit", "submit_and_close", "serve")
    latest: ClassVar["Pool"]
    """The scene that is being played: one at a time is."""

    def __init__(self) -> None:
        super().__init__()
        Pool.latest = self
        self.pool = Background(workers=1, capacity=2)
        self.vacancies: list[Hired] = []
        self.calls = threading.Semaphore(0)
        self.taken: list[str] = []
        self.refused: list[str] = []
        self.run: list[str] = []

    @classmethod
    def installed(cls) -> contextlib.AbstractContextManager[object]:
        """Return a context in which pools hire."""
        return mock.patch.object(background, "threading", HiringThreading())

    def offer(self, name: str, *, ends_thread: bool = False) -> None:
        """Submit a task."""

        def task() -> None:
            self.run.append(name)
            if ends_thread:
                raise SystemExit

        (self.taken if self.pool.submit(task) else self.refused).append(name)

    def submit(self, _: int) -> None:
        """Submit two tasks."""
        self.offer("a")
        self.offer("b")

    def submit_and_close(self, me: int) -> None:
        """Submit one, and close."""
        self.offer("c")
        self.answers[me] = self.pool.close()
        self.offer("late")
        # Those that nobody has hired may go home.
        for _ in self.threads:
            self.calls.release()

    def serve(self, _: int) -> None:
        """Be a thread that the pool starts, if it needs one."""
        self.calls.acquire()
        if self.vacancies:
            hired = self.vacancies.pop()
            hired.runner = threading.current_thread()
            hired.target()
            hired.has_ended.set()

    def judge(self) -> None:
        """What was taken was run, once; and when it is closed that is over."""
        assert sorted(self.run) == sorted(self.taken), f"took {self.taken}, ran {self.run}"
        assert "late" in self.refused, "a closed pool took a task"
        assert self.answers[1] is True, "close says that threads were left"


class PoolWithDeaths(Pool):
    """Beside it, a task that ends its thread."""

    threads = ("submit", "submit_and_close", "serve", "serve")

    def submit(self, _: int) -> None:
        """Submit a task that ends its thread."""
        self.offer("a", ends_thread=True)
