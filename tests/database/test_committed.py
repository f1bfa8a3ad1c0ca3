"""Once a transaction is committed, no error says that it has failed, and its process reads nothing older."""

import threading

import pytest

from greencache import MISSING
from greencache.errors import IsolationError, TierUnavailableError, UnsupportedFunctionError
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

    def change():
        connection = connect()
        with copying.transaction(connection) as transaction:
            connection.execute("update factors set amount = 2")
            transaction.mset({"k": 1, "refused": make()})

    with pytest.raises(error):
        change()
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


CHANGES = {
    "invalidate": lambda tx: tx.invalidate("a", "b", "c"),
    "set": lambda tx: tx.mset({"a": 9, "b": 9, "c": 9}),
    "pattern": lambda tx: tx.invalidate(pattern="*"),
    "tags": lambda tx: tx.invalidate(tags=["t"]),
    "clear": lambda tx: tx.clear(),
    "in parts": lambda tx: (tx.invalidate("a"), tx.invalidate("b", "c")),
}
VALUES = {"a": 1, "b": 1, "c": 1}


@pytest.fixture
def filled(new_cache, redis_url):
    """A cache with something in it that hears of nothing: neither of the database nor of its fellows."""
    cache = new_cache(l3=redis_url, outbox=None, bus=None)
    cache.mset(VALUES, tags=["t"])
    assert cache.mget(VALUES) == VALUES
    return cache


def before_reading(cache, call):
    """Let something happen after the commit and before this process reads back what it has announced."""
    announcements = cache.postgres.announcements
    read = announcements.read

    def late(xact):
        call(read(xact))
        return read(xact)

    announcements.read = late


@pytest.mark.parametrize("change", CHANGES)
def test_a_listener_that_was_quicker_leaves_nothing_old_here(change, filled, new_cache, redis_url, connect):
    """It has done what was announced, deleted the rows, and told all others; who committed reads sooner."""
    other = new_cache(l3=redis_url, outbox=None)

    def do_elsewhere(rows):
        for row in rows[-1:] if change == "in parts" else rows:
            if row.is_everything:
                other.clear()
            for pattern in row.patterns:
                other.invalidate(pattern=pattern)
            other.invalidate(*row.keys, tags=row.tags)
            announcements = other.postgres.announcements
            announcements.forget(transaction._xact, [row.number])

    before_reading(filled, do_elsewhere)
    connection = connect()
    with filled.transaction(connection) as transaction:
        CHANGES[change](transaction)
    assert filled.mget(VALUES) == {}


def test_who_cannot_read_back_what_it_has_announced_forgets_it_here(filled, connect, database):
    """The rest is done by whoever listens: nothing is raised after the commit."""

    def fail(rows):
        assert len(rows) == 1
        raise TierUnavailableError("the database does not answer")

    before_reading(filled, fail)
    with filled.transaction(connect()) as transaction:
        transaction.invalidate("a")
    assert filled._engine.index.keys() == {"b", "c"}
    assert database.execute("select count(*) from greencache.outbox").fetchone() == (1,)
