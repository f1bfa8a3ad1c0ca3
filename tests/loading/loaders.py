"""Loaders that a test holds, counts and lets go; and callers that wait on threads of their own."""

import threading
from concurrent.futures import Future

from greencache.bus.base import Message, MessageKind
from greencache.testing import wait_until

__all__ = ["HeldLoader", "ask", "await_joined", "await_waiting", "hear", "threads_named"]

_LONGEST = 30.0


class HeldLoader:
    """A loader of one key, or of many, that stands still until it is let go.

    Args:
        outcome: What it returns, or raises, or calls to get what it returns.
        is_held: Whether it waits for `release`.
    """

    def __init__(self, outcome="new", *, is_held=True):
        self.outcome = outcome
        self.calls = 0
        self._begun = threading.Semaphore(0)
        self._may_end = threading.Event()
        if not is_held:
            self._may_end.set()

    def __call__(self, *keys):
        """Load."""
        self.calls += 1
        self._begun.release()
        assert self._may_end.wait(_LONGEST), f"the test has not let the load end within {_LONGEST:g} s"
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        value = self.outcome() if callable(self.outcome) else self.outcome
        return dict.fromkeys(*keys, value) if keys else value

    def await_begun(self):
        """Wait until it has been called once more, and return it."""
        assert self._begun.acquire(timeout=_LONGEST), f"not called within {_LONGEST:g} s"
        return self

    def release(self):
        """Let it end, now and from now on."""
        self._may_end.set()


def ask(call, *arguments, **options):
    """Call something on a thread of its own, and return the future of what it returns or raises."""
    answer = Future()

    def run():
        try:
            answer.set_result(call(*arguments, **options))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer


def hear(cache, sender):
    """Wait until a cache has heard all that another one has announced."""
    number = sender._engine.bus.publish(Message(MessageKind.LANDED))
    assert cache._engine.bus.wait_applied(number, _LONGEST), f"not heard within {_LONGEST:g} s"


def threads_named(name):
    """Return the threads of a kind that run, such as "greencache-leases"."""
    return [thread for thread in threading.enumerate() if thread.name == name]


def await_waiting(cache, key):
    """Wait until a caller of a cache waits for the load of another process."""
    waiters = cache._engine.reader.leader.waiters
    wait_until(lambda: key in waiters._wakes, reason=f"somebody waits for {key}")


def await_joined(cache, key, count):
    """Wait until so many callers of a cache wait for its own load of a key."""

    def is_so():
        flight = cache._engine.flights.under_way(key)
        return flight is not None and len(flight.future._condition._waiters) >= count

    wait_until(is_so, reason=f"{count} callers wait for {key}")
