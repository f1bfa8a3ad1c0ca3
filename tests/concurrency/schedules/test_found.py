"""What schedules have shown, each as a test of its own."""

import threading

from greencache.background import Background


class Threads(list):
    """The threads of a pool, which stops where one has left and its successor has not come."""

    def __init__(self) -> None:
        super().__init__()
        self.is_between = threading.Event()
        self.may_go_on = threading.Event()

    def remove(self, thread: threading.Thread) -> None:
        """Remove one, and wait for a moment."""
        super().remove(thread)
        self.is_between.set()
        self.may_go_on.wait(0.5)


def test_close_waits_for_the_successor_of_a_thread_that_a_task_has_ended():
    """A task that was taken has run when close says that all have."""
    pool, may_end, ran = Background(workers=1), threading.Event(), []
    pool._threads = threads = Threads()
    put = pool._tasks.put

    def end() -> None:
        may_end.wait(10.0)
        raise SystemExit

    def put_between(item: object, *_: object, **__: object) -> None:
        put(item)
        may_end.set()
        threads.is_between.wait(10.0)

    assert pool.submit(end)
    assert pool.submit(lambda: ran.append("second"))
    pool._tasks.put = put_between
    has_closed, run_by_then = pool.close(), list(ran)
    threads.may_go_on.set()
    assert has_closed
    assert run_by_then == ["second"]
