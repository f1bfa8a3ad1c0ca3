"""Backends that were given up are ended, and nobody else is."""

import contextlib

import pytest

from greencache.backends.postgres import Effect, PostgresManager
from greencache.backends.postgres_connection import Backend

PID = b"select pg_backend_pid()"


@pytest.fixture
def managers(postgres_url):
    """Two processes' managers of one database."""
    with contextlib.ExitStack() as stack:
        made = [PostgresManager(postgres_url, timeout=60, max_connections=1) for _ in range(2)]
        for manager in made:
            stack.callback(manager.close)
        yield made


def backend_of(manager):
    """Return who works for a manager's one connection."""
    return manager.call(lambda session: session.backend())


def test_whoever_was_given_up_is_ended(managers):
    """Before the next drop, which no statement of that one comes after."""
    manager, other = managers
    given_up = backend_of(other)
    manager._given_up._backends[given_up] = None
    assert manager.fetch(PID), "what does not matter waits for nobody"
    assert manager._given_up._backends
    manager.fetch(PID, effect=Effect.FORGETS)
    assert other.fetch(PID) != [(given_up.pid,)]
    assert not manager._given_up._backends


def test_a_drop_goes_on_when_another_thread_has_ended_them_all_in_that_moment(managers):
    """Between the look whether there are any and the look at who they are."""

    class Emptied(dict):
        def __bool__(self):
            return True

    manager, _ = managers
    manager._given_up._backends = Emptied()
    assert manager.fetch(PID, effect=Effect.FORGETS)


def test_another_with_the_number_of_one_that_was_given_up_works_on(managers):
    """Processes begin under numbers that others had."""
    manager, other = managers
    innocent = backend_of(other)
    manager._given_up._backends[Backend(innocent.pid, innocent.began - 1)] = None
    manager.fetch(PID, effect=Effect.FORGETS)
    assert not manager._given_up._backends
    assert other.fetch(PID) == [(innocent.pid,)]


def test_who_is_asked_for_once_on_each_connection(managers, monkeypatch):
    """So that a write costs one round trip."""
    manager, _ = managers
    manager.fetch(PID, effect=Effect.OVERWRITES)
    asked = []
    execute = type(manager.call(lambda session: session._connection)).execute
    monkeypatch.setattr(
        "greencache.backends.postgres_connection.BoundedConnection.execute",
        lambda connection, query, *rest, **options: (
            asked.append(query) or execute(connection, query, *rest, **options)
        ),
    )
    manager.fetch(PID, effect=Effect.OVERWRITES)
    assert asked == [PID]
