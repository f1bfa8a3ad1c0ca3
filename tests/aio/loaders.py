"""Loaders that a test holds, counts and lets go."""

import asyncio
import threading
import time

__all__ = ["LONGEST", "HeldLoader", "ThreadLoader", "on_thread", "soon", "threads_named"]

LONGEST = 30.0
"""Seconds that a test waits for anything."""


class HeldLoader:
    """A loader that is awaited, and stands still until it is let go from its own loop.

    Args:
        outcome: What it returns, or raises.
    """

    def __init__(self, outcome="new"):
        self.outcome = outcome
        self.calls = 0
        self.begun = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, *keys):
        """Load one, or many."""
        self.calls += 1
        self.begun.set()
        async with asyncio.timeout(LONGEST):
            await self.release.wait()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return dict.fromkeys(*keys, self.outcome) if keys else self.outcome


class ThreadLoader:
    """A loader that blocks its thread until it is let go.

    Args:
        outcome: What it returns, or raises.
    """

    def __init__(self, outcome="new"):
        self.outcome = outcome
        self.calls = 0
        self.begun = threading.Event()
        self.release = threading.Event()

    def __call__(self, *keys):
        """Load one, or many."""
        self.calls += 1
        self.begun.set()
        assert self.release.wait(LONGEST), "the test has not let the load end"
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return dict.fromkeys(*keys, self.outcome) if keys else self.outcome


async def soon(condition, reason):
    """Wait on the loop until a condition is true."""
    end = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < end, f"waited {LONGEST:g} s in vain until {reason}"
        await asyncio.sleep(0.002)


async def on_thread(call, *arguments, **options):
    """Return what a call on a thread that is none of the cache's returns."""
    return await asyncio.to_thread(call, *arguments, **options)


def threads_named(prefix):
    """Return the threads that run under such names."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(prefix)]
