"""RedisManager behind sentinels: it follows the primary, and believes nobody blindly."""

import contextlib
import socket
import threading
import time

import pytest

from greencache.backends.redis_protocol import pack
from greencache.backends.retry import RetryPolicy
from greencache.errors import TierUnavailableError
from greencache.testing import wait_until
from tests.faults.stopwatch import Metronome

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def servers(redis_sentinel, redis_sentinel_url):
    """A primary, two replicas and three sentinels, all up."""
    assert redis_sentinel_url == redis_sentinel.url
    return redis_sentinel


@pytest.fixture
def manager(new_manager, servers):
    """A manager that has used the primary."""
    manager = new_manager(servers.url)
    assert manager.execute("SET", "key", "value") == b"OK"
    return manager


def finder_of(manager):
    """Return who asks the sentinels."""
    return manager._servers.news._finder


def answers(manager):
    """Return whether a write is answered now."""
    with contextlib.suppress(TierUnavailableError):
        return manager.execute("SET", "key", "value") == b"OK"


def ports_of(manager):
    """Return the ports that its connections lead to."""
    return {connection.place[1] for connection in manager.pools[0].connections()}


def arrays(*replies):
    """Return replies to the two questions about a primary, as a sentinel sends them."""
    return b"".join(pack(reply) for reply in replies)


def sentinel_that_says(strange_server, host, port, epoch=0):
    """Start somebody who answers all questions with this primary."""

    def talk(sock):
        while sock.recv(4_096):
            sock.sendall(arrays([host, str(port)], ["name", "mymaster", "config-epoch", str(epoch)]))

    return strange_server(talk)


def test_it_finds_the_primary(manager, servers):
    """And says where that is."""
    assert manager.address == f"mymaster@127.0.0.1:{servers.primary.port}"
    assert servers.primary.execute("GET", "key") == "value"
    health = manager.check()
    assert (health.up, health.role) == (True, "master")


def test_it_takes_the_database_of_the_url(new_manager, servers):
    """On whichever server."""
    manager = new_manager(f"{servers.url}/3")
    manager.execute("SET", "key", "3")
    assert manager.database == 3
    assert manager.execute("CONFIG", "GET", "databases")
    assert servers.primary.execute("GET", "key") is None


@pytest.mark.parametrize("how", ["killed", "hung", "left"])
def test_it_follows_a_failover(manager, servers, how):
    """Whatever became of the former primary, which it never writes to again."""
    old = servers.primary
    if how == "killed":
        old.kill()
        servers.await_failover(old)
    elif how == "hung":
        old.pause()
        servers.await_failover(old)
    else:
        servers.failover()
    new = servers.primary
    assert new is not old
    is_there = f"mymaster@127.0.0.1:{new.port}"
    wait_until(
        lambda: answers(manager) and manager.address == is_there, deadline=60, reason="it is with the new one"
    )
    assert ports_of(manager) <= {new.port}
    # Sentinels do not all know at once: who asks another one may turn back for a moment, and ask again.
    wait_until(lambda: answers(manager) and ports_of(manager) == {new.port}, deadline=60, reason="it stays")
    servers.heal()
    wait_until(lambda: answers(manager), deadline=60, reason="it is answered with all of them up")
    assert ports_of(manager) <= {new.port}
    wait_until(lambda: answers(manager) and ports_of(manager) == {new.port}, deadline=60, reason="it stays")


def test_it_follows_although_its_breaker_is_open(new_manager, servers):
    """Nobody waits for the next probe once there is another primary."""
    manager = new_manager(servers.url, timeout=0.5, deadline=1)
    wait_until(lambda: answers(manager), deadline=60, reason="the primary answers in time")
    old = servers.primary
    old.kill()
    wait_until(lambda: not answers(manager) and manager.is_open, deadline=60, reason="the breaker opens")
    servers.await_failover(old)
    start = time.monotonic()
    wait_until(lambda: answers(manager), deadline=20, reason="the new primary answers")
    assert time.monotonic() - start < 5.0
    assert not manager.is_open


def test_who_waits_for_a_hung_primary_is_freed_by_the_failover(new_manager, servers):
    """Long before the time-out."""
    manager = new_manager(servers.url, timeout=60, deadline=60)
    manager.execute("SET", "key", "value")
    old, results = servers.primary, []
    old.pause()
    reader = threading.Thread(target=lambda: results.append(manager.execute("GET", "key")))
    reader.start()
    servers.await_failover(old)
    reader.join(20)
    assert results == [b"value"]


def test_a_listener_leaves_the_former_primary_at_once(manager, servers):
    """What that one says, or keeps silent about, is not the truth any more."""
    listener = manager.open_listener(60)
    assert listener.execute("GET", "key") == b"value"
    errors = []

    def listen():
        try:
            listener.execute("BLPOP", "list", 0)
        except Exception as error:
            errors.append(error)

    waiting = threading.Thread(target=listen)
    waiting.start()
    old = servers.primary
    old.pause()
    servers.await_failover(old)
    waiting.join(20)
    assert isinstance(errors[0], TierUnavailableError)
    wait_until(lambda: answers(manager), deadline=20, reason="the new primary answers")
    assert listener.execute("GET", "key") == b"value"
    listener.close()


def test_a_write_that_meets_a_replica_is_repeated_on_the_primary(manager, servers):
    """READONLY: the sentinels have not announced it yet, or the message was missed."""
    connection = manager.pools[0].acquire(time.monotonic() + 5)
    connection.abandon()
    connection.locate = lambda _: servers.replicas[0].address
    connection.on_open = None
    connection.exchange(pack(["PING"]), 1, time.monotonic() + 5)
    manager.pools[0].release(connection)
    assert manager.execute("INCR", "number", repeatable=False) == 1
    assert manager.execute("GET", "number") == b"1"


def test_without_sentinels_it_goes_on_with_the_primary_that_it_knows(manager, servers):
    """New connections too; and it asks no more than once per second."""
    for sentinel in servers.sentinels:
        sentinel.kill()
    questions, start = finder_of(manager).questions, time.monotonic()
    for _ in range(30):
        manager.pools[0].renew()
        finder_of(manager).doubt()
        assert answers(manager)
    assert finder_of(manager).questions - questions <= time.monotonic() - start + 2


def test_a_dead_and_a_hung_sentinel_cost_one_short_wait(new_manager, servers):
    """The dead one refuses, the hung one keeps silent, the third one answers."""
    servers.sentinels[0].kill()
    servers.sentinels[1].pause()
    manager = new_manager(servers.url)
    with Metronome() as machine:
        start = time.monotonic()
        assert manager.execute("PING") == b"PONG"
        assert machine.without_pauses(start, time.monotonic()) < 0.3 + 1.0
    assert finder_of(manager).last == 2


def test_nobody_who_knows_is_an_outage(new_manager, strange_server):
    """The message says whom it has asked, and why that did not help."""
    server = strange_server(lambda sock: sock.sendall(b"*-1\r\n-ERR No such master with that name\r\n"))
    url = f"redis+sentinel://127.0.0.1:{server.port}/nothing"
    manager = new_manager(url, retry=RetryPolicy(retries=0))
    with pytest.raises(TierUnavailableError, match=f"'nothing': 127.0.0.1:{server.port}: No such master"):
        manager.execute("PING")


def test_a_sentinel_that_names_a_replica_is_not_believed(new_manager, servers, strange_server):
    """ROLE tells; the next one is asked a second later."""
    liar = sentinel_that_says(strange_server, *servers.replicas[0].address, epoch=0)
    url = f"redis+sentinel://127.0.0.1:{liar.port},{servers.url.partition('://')[2]}"
    manager = new_manager(url, retry=RetryPolicy(retries=0))
    with pytest.raises(TierUnavailableError, match="is not the primary of 'mymaster'"):
        manager.execute("SET", "key", "value")
    wait_until(lambda: answers(manager), deadline=20, reason="another one is asked")


def test_a_sentinel_that_has_missed_a_failover_is_not_believed(new_manager, servers, strange_server):
    """Even if the former primary says that it still is one, as in a split brain."""
    former = socket.create_server(("127.0.0.1", 0))
    cut_off = sentinel_that_says(strange_server, *former.getsockname(), epoch=0)
    servers.failover()
    url = f"redis+sentinel://{servers.url.partition('://')[2].replace('/', f',127.0.0.1:{cut_off.port}/')}"
    manager = new_manager(url)
    assert answers(manager)
    finder = finder_of(manager)
    assert finder.primary.epoch > 0
    finder.ask_at_once(time.monotonic() + 2, 3)
    assert finder.last != 3
    assert finder.primary.place == servers.primary.address
    former.close()


def test_sentinels_that_were_set_up_anew_are_believed(new_manager, servers, strange_server):
    """When most of them know of no failover, it is their knowledge that is new."""
    news = [sentinel_that_says(strange_server, *servers.primary.address, epoch=0) for _ in range(3)]
    url = f"redis+sentinel://{','.join(f'127.0.0.1:{each.port}' for each in news)}/mymaster"
    manager = new_manager(url)
    assert answers(manager)
    finder = finder_of(manager)
    finder._primary = finder.primary._replace(port=1, epoch=9)
    wait_until(lambda: finder.primary.place == servers.primary.address, deadline=10, reason="they are asked")


def test_many_threads_ask_once(new_manager, servers):
    """The others wait for the answer."""
    manager = new_manager(servers.url)
    barrier, results = threading.Barrier(16), []

    def use():
        barrier.wait(20)
        results.append(manager.execute("PING"))

    threads = [threading.Thread(target=use) for _ in range(16)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [b"PONG"] * 16
    assert finder_of(manager).questions <= time.monotonic() - start + 2


def test_another_server_is_noticed_as_after_any_failover(manager, servers):
    """Before anything is read from it."""
    noticed = []
    manager.watch.subscribe(noticed.append, noticed.append)
    manager.pools[0].renew()
    assert answers(manager)
    before = manager.watch.changes
    servers.failover()
    wait_until(lambda: noticed or not answers(manager), deadline=20, reason="it is noticed")
    wait_until(lambda: answers(manager), deadline=20, reason="the new primary answers")
    assert len(noticed) >= 1
    assert manager.watch.changes > before


def test_what_was_left_open_listens_no_more(new_manager, servers):
    """Neither after `close` nor when the manager is forgotten."""
    manager = new_manager(servers.url)
    manager.execute("PING")
    thread = manager._servers.news._thread
    assert thread.is_alive()
    manager.close()
    thread.join(10)
    assert not thread.is_alive()


def test_there_is_one_listener_whatever_its_callers_are_interrupted_by(manager, monkeypatch):
    """A signal handler that raised in `Thread.is_alive` leaves a thread that runs marked as ended."""
    manager.execute("PING")
    news = manager._servers.news
    wait_until(lambda: news._is_listening, reason="somebody listens")
    thread = news._thread
    monkeypatch.setattr(thread, "is_alive", lambda: False)
    for _ in range(3):
        news.start()
    assert news._thread is thread


def test_a_listener_that_was_replaced_ends(manager):
    """Two of them would take each other's messages."""
    manager.execute("PING")
    news = manager._servers.news
    assert news._thread is not threading.current_thread()
    assert not news.step()
