"""Connections that were given up are ended by their server, and no others are."""

import pytest

from greencache.backends.redis_protocol import Client
from greencache.errors import TierUnavailableError


@pytest.fixture
def managers(new_manager, redis_url):
    """Two processes' managers of one server."""
    made = [new_manager(redis_url, max_connections=1, timeout=30, deadline=60) for _ in range(2)]
    for manager in made:
        manager.watch.subscribe(lambda _: None, lambda _: None)
        manager.execute("PING")
    return made


def node_of(manager):
    """Return a manager's one node."""
    return manager._servers.node


def client_of(manager):
    """Return its one connection as the server knows it."""
    [connection] = node_of(manager).pool.connections()
    return connection.client


def give_up(manager, client):
    """Let a manager have given a connection up."""
    node_of(manager).given_up._clients[client] = None


def test_whoever_was_given_up_is_ended_with_the_next_command(managers):
    """In the same round trip, and once."""
    manager, other = managers
    given_up = client_of(other)
    give_up(manager, given_up)
    assert manager.execute("ECHO", "next") == b"next"
    assert str(given_up.number).encode() not in clients(manager)
    assert not node_of(manager).given_up._clients


def test_another_with_the_number_of_one_that_was_given_up_stays(managers):
    """Each server numbers its clients itself."""
    manager, other = managers
    innocent = client_of(other)
    give_up(manager, Client("another", innocent.number))
    manager.execute("PING")
    assert str(innocent.number).encode() in clients(manager)


def test_a_user_who_may_end_nobody_goes_on(managers, new_manager, redis_url):
    """With what it may; docs/how-it-works.md says what that costs."""
    manager, other = managers
    manager.execute("ACL", "SETUSER", "modest", "on", ">pw", "~*", "+@all", "-client|kill", "+client|id")
    modest = new_manager(redis_url, username="modest", password="pw")
    modest.watch.subscribe(lambda _: None, lambda _: None)
    modest.execute("PING")
    give_up(modest, client_of(other))
    assert modest.execute("ECHO", "next") == b"next"
    assert not node_of(modest).given_up._clients
    manager.execute("ACL", "DELUSER", "modest")


def test_what_may_be_repeated_is_not_given_up(managers):
    """What is lost of it does no harm when it comes."""
    manager, _ = managers
    for repeatable in (True, False):
        with pytest.raises(TierUnavailableError):
            manager.execute("BLPOP", "nothing", 0, repeatable=repeatable, deadline=0.2)
        assert bool(node_of(manager).given_up._clients) is not repeatable


def clients(manager):
    """Return the numbers of a server's clients."""
    return {line.split()[0].removeprefix(b"id=") for line in manager.execute("CLIENT", "LIST").splitlines()}
