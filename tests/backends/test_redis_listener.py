"""A connection of one's own for commands that block."""

import os
import threading
import time

import pytest

from greencache.backends.retry import TransientError
from greencache.errors import ServerReplyError, TierUnavailableError
from greencache.testing import wait_until


@pytest.fixture
def manager(new_manager, redis_url):
    """A manager with one connection."""
    return new_manager(redis_url, max_connections=1)


def test_blocks_without_taking_a_slot_of_the_pool(manager):
    """While it waits the manager's only connection is free."""
    listener = manager.open_listener(5)
    got = []
    thread = threading.Thread(target=lambda: got.append(listener.execute("BLPOP", "list", 0)))
    thread.start()
    wait_until(lambda: b"cmd=blpop" in manager.execute("CLIENT", "LIST"), reason="the listener blocks")
    manager.execute("RPUSH", "list", "item")
    thread.join(5)
    assert got == [[b"list", b"item"]]
    listener.close()


def test_no_reply_in_time_is_an_outage_and_the_next_call_connects_anew(manager):
    """A late reply is never taken for the next one."""
    listener = manager.open_listener(0.2)
    start = time.monotonic()
    with pytest.raises(TransientError, match="did not answer in time"):
        listener.execute("BLPOP", "nothing", 0)
    assert time.monotonic() - start < 2
    assert listener.execute("ECHO", "hello") == b"hello"
    listener.close()


def test_close_wakes_the_thread_that_waits(manager):
    """It gets an error at once, and so does every call after."""
    listener = manager.open_listener(60)
    errors = []

    def listen():
        try:
            listener.execute("BLPOP", "nothing", 0)
        except TierUnavailableError as error:
            errors.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    wait_until(lambda: b"cmd=blpop" in manager.execute("CLIENT", "LIST"), reason="the listener blocks")
    listener.close()
    thread.join(5)
    assert len(errors) == 1
    listener.close()
    with pytest.raises(TierUnavailableError, match="closed"):
        listener.execute("PING")


def test_an_error_reply_leaves_the_connection_in_use(manager):
    """The server is well, the command was wrong."""
    listener = manager.open_listener(5)
    number = listener.execute("CLIENT", "ID")
    with pytest.raises(ServerReplyError, match="unknown command"):
        listener.execute("NONSENSE")
    assert listener.execute("CLIENT", "ID") == number
    listener.close()


def test_a_lost_connection_is_told_and_not_repaired_in_silence(manager):
    """Who listens must know that something may have been missed."""
    listener = manager.open_listener(5)
    number = listener.execute("CLIENT", "ID")
    manager.execute("CLIENT", "KILL", "ID", number)
    with pytest.raises(TierUnavailableError):
        listener.execute("PING")
    assert listener.execute("PING") == b"PONG"
    listener.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_listens_on_a_connection_of_its_own(manager):
    """The parent's goes on undisturbed."""
    listener = manager.open_listener(5)
    number = listener.execute("CLIENT", "ID")
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if listener.execute("CLIENT", "ID") != number else 1)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert listener.execute("CLIENT", "ID") == number
    listener.close()
