"""RedisManager: what it does when all is well."""

import os
import threading

import pytest

from greencache.backends.breaker import Breaker, BreakerState
from greencache.backends.redis import RedisManager
from greencache.backends.redis_single import SingleServer
from greencache.backends.retry import RefusedError
from greencache.backends.scripts import Script
from greencache.errors import ConfigurationError, InvalidArgumentError, ServerReplyError, TierUnavailableError

ADD = Script.from_text("add", "return {KEYS[1], redis.call('INCRBY', KEYS[1], ARGV[1])}")


@pytest.fixture
def manager(new_manager, redis_url, parser):
    """A manager for each parser."""
    return new_manager(redis_url, parser=parser)


def test_replies_are_not_decoded(manager):
    """Bytes, integers, `None` and lists of these."""
    value = bytes(range(256))
    assert manager.execute("SET", b"k\xff", value) == b"OK"
    assert manager.execute("GET", b"k\xff") == value
    assert manager.execute("GET", "none") is None
    assert manager.execute("INCRBY", "n", 5) == 5
    assert manager.execute("INCRBYFLOAT", "f", 0.5) == b"0.5"
    assert manager.execute("MGET", "n", "none") == [b"5", None]


def test_a_value_of_many_megabytes_comes_back_whole(manager):
    """Larger than any buffer on the way."""
    value = os.urandom(1 << 20) * 8
    manager.execute("SET", "big", value)
    assert manager.execute("GET", "big") == value


def test_many_commands_keep_their_order(manager):
    """Over several batches."""
    assert set(manager.execute_many([("SET", f"k{n}", n) for n in range(2_500)])) == {b"OK"}
    assert manager.execute_many(("GET", f"k{n}") for n in range(2_500)) == [b"%d" % n for n in range(2_500)]
    assert manager.execute_many([]) == []


def test_a_wrong_command_among_many_is_told_after_all_were_run(manager):
    """The others have run, and the connection stays in use."""
    manager.execute("SET", "text", "x")
    with pytest.raises(ServerReplyError, match="not an integer"):
        manager.execute_many([("SET", "a", 1), ("INCR", "text"), ("SET", "b", 2)])
    assert manager.execute("MGET", "a", "b") == [b"1", b"2"]
    assert len(manager.pools[0]) == 1
    assert manager.state is BreakerState.CLOSED


def test_a_wrong_command_is_no_outage(manager):
    """It is told apart, is not tried again, and says what the server said."""
    manager.execute("SET", "text", "x")
    with pytest.raises(ServerReplyError, match="WRONGTYPE") as caught:
        manager.execute("LPUSH", "text", "y")
    assert caught.value.code == "WRONGTYPE"
    assert not isinstance(caught.value, TierUnavailableError)
    with pytest.raises(InvalidArgumentError):
        manager.execute("SET", "key", None)


def test_a_script_is_loaded_once_where_it_is_not_known(manager):
    """Also after the server has forgotten it."""
    manager.execute("SCRIPT", "FLUSH")
    assert manager.run_script(ADD, ["n"], [2]) == [b"n", 2]
    manager.execute("CONFIG", "RESETSTAT")
    assert manager.run_script(ADD, ["n"], [3]) == [b"n", 5]
    assert b"cmdstat_script|load" not in manager.execute("INFO", "commandstats")
    manager.execute("SCRIPT", "FLUSH")
    assert manager.run_script(ADD, ["n"], [4]) == [b"n", 9]


def test_many_runs_of_an_unknown_script_each_happen_once(manager):
    """Only those that the server refused are sent again; here all of them, in more than one batch."""
    manager.execute("SCRIPT", "FLUSH")
    results = manager.run_script_many(ADD, [([f"n{n % 7}"], [1]) for n in range(2_100)])
    assert len(results) == 2_100
    assert [int(value) for value in manager.execute("MGET", *(f"n{n}" for n in range(7)))] == [300] * 7
    assert results[0] == [b"n0", 1]
    assert results[-1] == [b"n6", 300]


def test_only_the_runs_that_met_an_unknown_script_are_repeated(manager, monkeypatch):
    """Somebody empties the server's memory of scripts in the midst of a batch."""
    manager.execute("SCRIPT", "LOAD", ADD.text)
    real = SingleServer.execute_many

    def meddling(self, commands, budget, **options):
        commands = list(commands)
        if commands[0][0] != "EVALSHA":
            return real(self, commands, budget, **options)
        replies = real(self, [*commands[:2], ("SCRIPT", "FLUSH"), *commands[2:]], budget, **options)
        return replies[:2] + replies[3:]

    monkeypatch.setattr(SingleServer, "execute_many", meddling)
    results = manager.run_script_many(ADD, [(["n"], [1])] * 5)
    assert results == [[b"n", total] for total in (1, 2, 3, 4, 5)]


def test_a_script_that_fails_is_told(manager):
    """As a wrong command is."""
    with pytest.raises(ServerReplyError, match="oops"):
        manager.run_script(Script.from_text("fails", "return redis.error_reply('ERR oops')"), [], [])


def test_scan_finds_all_keys_of_a_pattern(manager):
    """In batches."""
    manager.execute_many([("SET", f"{kind}:{n}", n) for kind in ("a", "b") for n in range(1_500)])
    found = [key for batch in manager.scan(b"a:*", count=100) for key in batch]
    assert set(found) == {b"a:%d" % n for n in range(1_500)}
    assert list(manager.scan("nothing*")) == []


def test_threads_share_a_manager(manager):
    """Each gets its own replies."""
    wrong = []

    def work(name):
        for number in range(200):
            if manager.execute("ECHO", f"{name}:{number}") != f"{name}:{number}".encode():
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    assert len(manager.pools[0]) <= 8


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_works_on_both_sides_of_a_fork(manager):
    """Parent and children read at once and get their own values."""
    manager.execute_many([("SET", f"k{n}", n) for n in range(100)])

    def reads_right():
        return all(manager.execute("GET", f"k{n % 100}") == b"%d" % (n % 100) for n in range(500))

    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if reads_right() else 1)
            finally:
                os._exit(2)
        children.append(child)
    assert reads_right()
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]


def test_nothing_is_connected_before_it_is_needed(strange_server, new_manager):
    """Making one does no I/O, so a server may be down at start."""
    server = strange_server(lambda _: None)
    new_manager(server.url)
    RedisManager("redis://nobody.invalid").close()
    assert server.accepted == 0


def test_close_ends_it(redis_url):
    """Twice as well, and at the end of a with-block."""
    with RedisManager(redis_url) as manager:
        manager.execute("PING")
    manager.close()
    with pytest.raises(RefusedError, match="closed"):
        manager.execute("PING")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": 0}, "timeout as a positive number of seconds, got 0"),
        ({"connect_timeout": float("nan")}, "connect_timeout"),
        ({"deadline": -1}, "deadline"),
        ({"max_connections": 0}, "max_connections of 1 or more, got 0"),
        ({"parser": "fastest"}, "'auto', 'hiredis' or 'python' as parser, got 'fastest'"),
    ],
)
def test_a_manager_that_cannot_work_is_refused(options, says):
    """When it is made."""
    with pytest.raises(ConfigurationError, match=says):
        RedisManager("redis://localhost", **options)


def test_says_where_it_leads_and_how_it_is(new_manager, redis_url):
    """In its repr."""
    manager = new_manager(redis_url, breaker=Breaker(1))
    assert repr(manager) == f"RedisManager({manager.address}, closed)"
