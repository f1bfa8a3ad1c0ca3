"""Once a transaction is committed, no error says that it has failed, and its process reads nothing older."""

import threading

import pytest

from greencache import MISSING
from greencache.errors import IsolationError, UnsupportedFunctionError
from greencache.events import EventKind
from tests.database.conftest import READ


class Notes:
    """Events, as they come."""

    def __init__(self):
        self.events = []

    def record(self, event):
        """Note an event."""
        self.events.append(event)


class CopiedOnce:
    """Can be copied when it is set, and not again."""

    def __init__(self, *, is_copy=False):
        self.is_copy = is_copy

    def __deepcopy__(self, _):
        if self.is_copy:
            raise ValueError
        return CopiedOnce(is_copy=True)


async def answer():
    """Be no value."""


UNKEPT = {"a lock": (threading.Lock, IsolationError), "a coroutine": (answer, UnsupportedFunctionError)}


@pytest.fixture
def notes():
    """What is told of the cache."""
    return Notes()


@pytest.fixture
def copying(new_cache, redis_url, notes):
    """A cache whose readers share nothing."""
    return new_cache(l3=redis_url, outbox=None, isolation="copy", recorder=notes)


@pytest.mark.parametrize("what", UNKEPT)
def test_a_value_that_cannot_be_kept_is_refused_before_the_commit(what, copying, connect, database):
    """So the error means what it says: nothing is committed."""
    make, error = UNKEPT[what]
    connection = connect()
    with pytest.raises(error), copying.transaction(connection) as transaction:
        connection.execute("update factors set amount = 2")
        transaction.mset({"k": 1, "refused": make()})
    assert database.execute(READ, ["DE"]).fetchone() == (1,)
    assert copying.get("k", MISSING) is MISSING


def test_a_value_is_stored_as_it_was_when_it_was_set(copying, connect, database):
    """Isolated from then on."""
    value = [1]
    with copying.transaction(connect()) as transaction:
        transaction.set("k", value)
        value.append(2)
    assert copying.get("k") == [1]


def test_what_cannot_be_stored_after_the_commit_is_recorded(copying, connect, database, notes):
    """Not raised: who commits again after an error would do it twice; the rest is stored."""
    connection = connect()
    with copying.transaction(connection) as transaction:
        connection.execute("update factors set amount = 2")
        transaction.set("bad", CopiedOnce())
        transaction.set("good", 1)
    assert database.execute(READ, ["DE"]).fetchone() == (2,)
    assert copying.mget(["bad", "good"]) == {"good": 1}
    failed = [event for event in notes.events if event.kind is EventKind.LOAD_FAILED]
    assert [(event.key, event.detail) for event in failed] == [("bad", {"error": "IsolationError"})]
    assert database.execute("select count(*) from greencache.outbox").fetchone() == (0,)
