"""The pool: bounded, last in first out, and never a slot lost."""

import os
import threading

import pytest

from greencache.backends import redis_pool
from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_connection import new_connection
from greencache.backends.redis_pool import ConnectionPool
from greencache.backends.redis_protocol import pack
from greencache.backends.retry import RefusedError
from greencache.clock import SystemClock
from greencache.testing import wait_until

NOW = SystemClock.now
CLIENT_ID = pack(["CLIENT", "ID"])


@pytest.fixture
def pool(redis_url):
    """A pool of two."""
    address = RedisAddress.parse(redis_url)
    pool = ConnectionPool(
        lambda: new_connection(address, now=NOW, connect_timeout=5), 2, address.label, SystemClock()
    )
    yield pool
    pool.close()


def soon():
    """Return a deadline that is far enough away."""
    return NOW() + 5


def number_of(connection):
    """Return by which number the server knows a connection."""
    (number,) = connection.exchange(CLIENT_ID, 1, soon())
    return number


def test_lends_the_connection_that_was_used_last(pool):
    """So that few stay warm and the others can be let go."""
    first, second = pool.acquire(soon()), pool.acquire(soon())
    pool.release(first)
    pool.release(second)
    assert pool.acquire(soon()) is second
    assert pool.acquire(soon()) is first


def test_a_full_pool_makes_callers_wait_until_their_deadline(pool):
    """And says what to do."""
    held = [pool.acquire(soon()) for _ in range(2)]
    start = NOW()
    with pytest.raises(RefusedError, match="none of 2 connections came free in time; raise max_connections"):
        pool.acquire(start + 0.1)
    assert 0.1 <= NOW() - start < 2
    assert len(pool) == len(held)


def test_whoever_waits_gets_the_connection_that_comes_back(pool, monkeypatch):
    """At once, not at the next look."""
    monkeypatch.setattr(redis_pool, "_LOOK_AGAIN", 60)
    held = [pool.acquire(soon()) for _ in range(2)]
    got = []
    thread = threading.Thread(target=lambda: got.append(pool.acquire(NOW() + 60)))
    thread.start()
    wait_until(lambda: pool._waiters, reason="the other thread waits")
    pool.release(held[0])
    thread.join(5)
    assert got == [held[0]]


def test_whoever_waits_gets_the_slot_of_a_dirty_connection_that_comes_back(pool):
    """The connection is gone, its slot is not."""
    held = [pool.acquire(soon()) for _ in range(2)]
    got = []
    thread = threading.Thread(target=lambda: got.append(pool.acquire(NOW() + 60)))
    thread.start()
    wait_until(lambda: pool._waiters, reason="the other thread waits")
    held[0].is_dirty = True
    pool.release(held[0])
    thread.join(5)
    assert got[0] not in held
    assert len(pool) == 2


def test_a_dirty_connection_is_never_lent_again(pool):
    """It is closed when it comes back."""
    connection = pool.acquire(soon())
    number_of(connection)
    connection.is_dirty = True
    pool.release(connection)
    assert not connection.is_connected
    assert pool.acquire(soon()) is not connection


def test_a_connection_with_unread_bytes_is_never_lent_again(pool):
    """A late reply would be taken for the next one."""
    connection = pool.acquire(soon())
    number = number_of(connection)
    connection._sock.sendall(CLIENT_ID)
    wait_until(lambda: connection.is_stale, reason="the reply that nobody reads has come")
    pool.release(connection)
    other = pool.acquire(soon())
    assert other is not connection
    assert number_of(other) != number


def test_a_lost_connection_gives_its_slot_back(pool):
    """Something unwound the stack between two instructions: no release, no discard, just nobody there."""
    for _ in range(10):
        pool.acquire(soon())
        assert len(pool) == 0
    held = [pool.acquire(soon()) for _ in range(2)]
    got = []
    thread = threading.Thread(target=lambda: got.append(pool.acquire(NOW() + 60)))
    thread.start()
    wait_until(lambda: pool._waiters, reason="the other thread waits")
    del held[0]
    thread.join(5)
    assert len(got) == 1, "also for those who wait already"


def test_a_waiter_that_was_killed_delays_the_others_but_a_moment(pool):
    """Its turn passes to somebody else."""
    held = [pool.acquire(soon()) for _ in range(2)]
    dead = threading.Lock()
    dead.acquire()
    pool._waiters.append(dead)
    got = []
    thread = threading.Thread(target=lambda: got.append(pool.acquire(NOW() + 60)))
    thread.start()
    wait_until(lambda: len(pool._waiters) == 2, reason="the other thread waits")
    pool.release(held[0])
    thread.join(5)
    assert got == [held[0]]


def test_never_more_are_alive_than_allowed(pool):
    """Whatever the schedule of many threads."""
    most, failures = [], []

    def work():
        try:
            for _ in range(50):
                connection = pool.acquire(NOW() + 30)
                most.append(len(pool))
                number_of(connection)
                pool.release(connection)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert max(most) <= 2
    assert not pool._waiters


def test_close_closes_what_is_idle_now_and_what_is_lent_later(pool):
    """And whoever waits is told, and may close twice."""
    idle, lent = pool.acquire(soon()), pool.acquire(soon())
    number_of(idle)
    number_of(lent)
    pool.release(idle)
    pool.close()
    pool.close()
    assert not idle.is_connected
    assert lent.is_connected
    pool.release(lent)
    assert not lent.is_connected
    with pytest.raises(RefusedError, match="closed"):
        pool.acquire(soon())


def test_close_wakes_whoever_waits(pool):
    """They get the error at once."""
    held = [pool.acquire(soon()) for _ in range(2)]
    errors = []

    def wait():
        try:
            pool.acquire(NOW() + 60)
        except RefusedError as error:
            errors.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: pool._waiters, reason="the other thread waits")
    pool.close()
    for connection in held:
        pool.release(connection)
    thread.join(5)
    assert len(errors) == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_uses_no_socket_of_its_parent(pool):
    """It has connections of its own, and the parent's still work."""
    idle, lent = pool.acquire(soon()), pool.acquire(soon())
    numbers = {number_of(idle), number_of(lent)}
    pool.release(idle)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            pool.release(lent)  # one that was out while it was forked is not kept either
            ours = [pool.acquire(soon()) for _ in range(2)]
            os.write(writing, b" ".join(b"%d" % number_of(connection) for connection in ours))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        theirs = {int(number) for number in pipe.read().split()}
    assert len(theirs) == 2
    assert not theirs & numbers
    assert {number_of(idle), number_of(lent)} == numbers


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_does_not_inherit_a_lock_that_is_held(pool):
    """A fork copies it while another thread of the parent holds it."""
    with pool._lock:
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if pool._lock.acquire(timeout=2) else 1)
            finally:
                os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
