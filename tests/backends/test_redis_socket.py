"""One deadline for all waits of an exchange."""

import select
import socket
import threading
import time

import pytest

from greencache.backends.redis_socket import DeadlineSocket
from greencache.clock import SystemClock
from greencache.testing import FakeClock


@pytest.fixture
def pair():
    """Two ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_wait_gets_only_what_is_left(pair):
    """The time limit of the second `recv` is shorter than the first one's."""
    ours, theirs = pair
    clock = FakeClock()
    guarded = DeadlineSocket(ours, clock.now, clock.now() + 10)
    theirs.send(b"abc")
    assert guarded.recv(1) == b"a"
    assert ours.gettimeout() == pytest.approx(10)
    clock.advance(7)
    assert guarded.recv(1) == b"b"
    assert ours.gettimeout() == pytest.approx(3)
    clock.advance(3)
    with pytest.raises(TimeoutError, match="deadline"):
        guarded.recv(1)
    with pytest.raises(TimeoutError, match="deadline"):
        guarded.sendall(b"x")
    with pytest.raises(TimeoutError, match="deadline"):
        guarded.recv_into(bytearray(1))


def test_a_time_limit_that_is_right_is_not_set_again(pair):
    """It costs a system call; only a limit that is too short or too long is replaced."""
    ours, theirs = pair
    clock = FakeClock()
    guarded = DeadlineSocket(ours, clock.now, clock.now() + 10)
    theirs.send(b"abcd")
    guarded.recv(1)
    clock.advance(0.001)
    guarded.recv(1)
    assert ours.gettimeout() == pytest.approx(10, abs=1e-9)
    guarded.deadline = clock.now() + 11
    guarded.recv(1)
    assert ours.gettimeout() == pytest.approx(11)
    guarded.deadline = clock.now() + 10.9
    guarded.recv(1)
    assert ours.gettimeout() == pytest.approx(10.9)


def test_sending_more_than_the_buffers_hold_ends_at_the_deadline(pair):
    """A peer that does not read cannot hold us."""
    ours, _ = pair
    now = SystemClock.now
    guarded = DeadlineSocket(ours, now, now() + 0.2)
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        guarded.sendall(b"x" * 50_000_000)
    assert time.monotonic() - start < 2


def test_all_is_sent_in_order(pair):
    """In as many pieces as it takes."""
    ours, theirs = pair
    now = SystemClock.now
    data = bytes(range(256)) * 4_096
    received = bytearray()

    def read():
        while len(received) < len(data):
            received.extend(theirs.recv(65_536))

    reader = threading.Thread(target=read)
    reader.start()
    DeadlineSocket(ours, now, now() + 10).sendall(data)
    reader.join(10)
    assert received == data


def test_says_without_waiting_whether_something_is_there(pair):
    """Bytes, or the end."""
    ours, theirs = pair
    guarded = DeadlineSocket(ours, SystemClock.now, SystemClock.now() + 10)
    assert not guarded.is_readable()
    theirs.send(b"a")
    assert guarded.is_readable()
    guarded.recv(1)
    assert not guarded.is_readable()
    theirs.close()
    assert guarded.is_readable()


def test_works_where_there_is_no_poll(pair, monkeypatch):
    """As on Windows."""
    monkeypatch.delattr(select, "poll")
    ours, theirs = pair
    guarded = DeadlineSocket(ours, SystemClock.now, SystemClock.now() + 10)
    assert not guarded.is_readable()
    theirs.send(b"a")
    assert guarded.is_readable()
