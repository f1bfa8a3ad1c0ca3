"""Calls made on threads for tasks."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import gc
import logging
import threading

import pytest

from greencache.aio.offload import Bell, Offload
from greencache.testing import wait_until
from tests.aio.loaders import LONGEST, ThreadLoader, soon, threads_named


@pytest.fixture
def offload():
    """Threads for eight calls at once."""
    made = Offload(8)
    yield made
    made.close()


def test_a_call_is_made_on_a_thread_in_a_copy_of_the_context(run, offload):
    """It sees what its caller sees, and changes nothing of it."""
    name = contextvars.ContextVar("name", default="nobody")

    def look():
        seen = name.get()
        name.set("changed")
        return seen, threading.current_thread()

    async def main():
        name.set("caller")
        seen, thread = await offload(look)
        assert (seen, name.get()) == ("caller", "caller")
        assert thread is not threading.current_thread()

    run(main())


@pytest.mark.parametrize("error", [ValueError("x"), TimeoutError("x"), concurrent.futures.CancelledError()])
def test_what_a_call_raises_is_raised_unchanged(run, offload, error):
    """Not even the cancellation of some future becomes one of the task."""

    def fail():
        raise error

    async def main():
        with pytest.raises(type(error)) as caught:
            await offload(fail)
        assert caught.value is error

    run(main())


def test_stop_iteration_cannot_leave_a_coroutine_and_hangs_nobody(run, offload):
    """It comes as Python has it: the cause of a RuntimeError."""

    async def main():
        with pytest.raises(RuntimeError) as caught:
            await offload(lambda: next(iter([])))
        assert isinstance(caught.value.__cause__, StopIteration)

    run(main())


def test_who_is_cancelled_leaves_the_call_to_be_made_and_nothing_is_complained_of(run, offload, caplog):
    """Also when it raises afterwards."""
    call = ThreadLoader(ValueError("nobody hears"))

    async def main():
        task = asyncio.create_task(offload(call))
        await soon(call.begun.is_set, "the call has begun")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        call.release.set()
        await offload(int)
        del task

    with caplog.at_level(logging.WARNING):
        run(main(), debug=True)
        offload.close()
        wait_until(lambda: not threads_named("greencache-aio"), reason="the threads have ended")
        gc.collect()
    assert not caplog.records


def test_a_loop_that_is_closed_meanwhile_troubles_no_thread(offload, caplog):
    """There is nobody to tell."""
    call = ThreadLoader()
    loop = asyncio.new_event_loop()
    task = loop.create_task(offload(call))
    loop.run_until_complete(asyncio.sleep(0))
    assert call.begun.wait(LONGEST)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    with caplog.at_level(logging.WARNING):
        call.release.set()
        offload.close()
        wait_until(lambda: not threads_named("greencache-aio"), reason="the threads have ended")
    assert not caplog.records


def test_calls_beyond_the_threads_wait_for_their_turn(run, offload):
    """All are made."""

    async def main():
        assert await asyncio.gather(*(offload(pow, n, 2) for n in range(50))) == [n * n for n in range(50)]
        assert len(threads_named("greencache-aio")) <= 8

    run(main())


def test_a_bell_rung_before_somebody_listens_is_heard(run):
    """From any thread."""

    async def main():
        bell = Bell()
        await asyncio.to_thread(bell.ring)
        assert await bell.heard(LONGEST)

    run(main())


def test_a_bell_that_does_not_ring_in_time_is_told(run):
    """And it may ring later without harm."""

    async def main():
        bell = Bell()
        assert not await bell.heard(0.01)
        bell.ring()
        assert await bell.heard(None)
        return bell

    run(main()).ring()
