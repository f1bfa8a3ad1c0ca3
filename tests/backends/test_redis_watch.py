"""Who answers at an address, and that another server is noticed before anything is read from it."""

import contextlib
import threading

import pytest
import redis

from greencache.backends.redis import RedisManager
from greencache.backends.redis_watch import ServerWatch
from greencache.testing import wait_until
from greencache.testing.proxy import TcpProxy


class Two:
    """Two servers, and an address that leads to the first, until it leads to the second."""

    def __init__(self, first, second, proxy):
        self.first, self.second, self._proxy = first, second, proxy
        self.url = proxy.url_for(first.url)

    def switch(self):
        """Lead to the second from now on; connections that are open stay as they are."""
        self._proxy.target = ("127.0.0.1", self.second.port)

    def hang_up(self):
        """End all connections."""
        self._proxy.drop()


@pytest.fixture
def two(redis_servers):
    """Two servers behind one address."""
    with contextlib.ExitStack() as stack:
        first, second = redis_servers(), redis_servers()
        yield Two(first, second, stack.enter_context(TcpProxy(("127.0.0.1", first.port))))


class Told:
    """Takes note of what a watch tells."""

    def __init__(self):
        self.successors = []
        self.unknown = []


@pytest.fixture
def told():
    """A note of what was told."""
    return Told()


def watched(new_manager, url, told, **options):
    """Return a manager that tells who answers."""
    manager = new_manager(url, **options)
    manager.watch.subscribe(told.successors.append, told.unknown.append)
    return manager


def port_of(manager):
    """Return the port of whoever answers."""
    return int(manager.execute("CONFIG", "GET", "port")[1])


def test_who_answers_first_is_no_successor(two, new_manager, told):
    """Nor is who answers on further connections."""
    manager = watched(new_manager, two.url, told)
    threads = [threading.Thread(target=manager.execute, args=("PING",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    two.hang_up()
    manager.execute("PING")
    assert (told.successors, manager.watch.changes) == ([], 0)


def test_another_server_is_noticed_on_the_first_connection_to_it(two, new_manager, told):
    """Before the call that opened the connection returns."""
    manager = watched(new_manager, two.url, told)
    manager.execute("PING")
    before = manager.watch.changes
    two.switch()
    two.hang_up()
    assert port_of(manager) == two.second.port
    with redis.Redis.from_url(two.second.url) as client:
        assert told.successors == [f"{client.info()['run_id']}/{client.info()['master_replid']}"]
    assert manager.watch.changes != before


def test_a_listener_notices_it_too(two, new_manager, told):
    """So a process that only listens learns of it."""
    manager = watched(new_manager, two.url, told)
    with contextlib.closing(manager.open_listener(5)) as listener:
        listener.execute("PING")
        two.switch()
        two.hang_up()
        with contextlib.suppress(Exception):
            listener.execute("PING")
        listener.execute("PING")
    assert len(told.successors) == 1


def test_a_restart_is_noticed(redis_servers, new_manager, told):
    """It may have lost what it had not yet written to its disk."""
    server = redis_servers()
    manager = watched(new_manager, server.url, told)
    manager.execute("PING")
    server.kill()
    server.start()
    manager.execute("PING")
    assert len(told.successors) == 1


def test_no_connection_to_the_former_server_is_used_again(two, new_manager, told):
    """It may live on, and what it is told reaches nobody."""
    manager = watched(new_manager, two.url, told, timeout=10, deadline=10)
    with hold(manager, two.first) as go_on:
        # A second connection while the first is out; both lead to the first server, and the first is idle
        # when the other server is noticed, the second comes back later.
        manager.execute("PING")
        two.switch()
        with hold(manager, two.first) as go_on_too:
            assert port_of(manager) == two.second.port
            assert len(told.successors) == 1
            go_on_too()
        go_on()
    assert [port_of(manager) for _ in range(10)] == [two.second.port] * 10


@contextlib.contextmanager
def hold(manager, server):
    """Keep one connection of a manager to a server busy, until told to go on."""
    gate = f"gate-{id(object())}"
    thread = threading.Thread(target=manager.execute, args=("BLPOP", gate, "8"))
    with redis.Redis.from_url(server.url) as admin:
        before = admin.info("clients")["blocked_clients"]
        thread.start()
        wait_until(lambda: admin.info("clients")["blocked_clients"] > before, reason="it waits")

        def go_on():
            admin.rpush(gate, "open")
            thread.join(30)

        yield go_on


def test_nobody_uses_another_server_before_all_were_told(two, new_manager):
    """Neither who noticed it, nor who opens a connection meanwhile."""
    manager = new_manager(two.url)
    told, may_go_on, has_begun = [], threading.Event(), threading.Event()

    def on_successor(_):
        if not has_begun.is_set():
            has_begun.set()
            assert may_go_on.wait(30)
        told.append(threading.current_thread())

    manager.watch.subscribe(on_successor, lambda _: None)
    manager.execute("PING")
    two.switch()
    two.hang_up()
    first = threading.Thread(target=manager.execute, args=("PING",))
    first.start()
    assert has_begun.wait(30)
    manager.execute("PING")
    assert told == [threading.current_thread()]
    may_go_on.set()
    first.join(30)
    assert first in told
    manager.execute("PING")
    assert len(told) == 2


def test_the_count_changes_before_and_after_others_are_told():
    """A read in between sees a change, and so does a write that was too late to be told of."""
    counts = []
    watch = ServerWatch(lambda: counts.append(watch.changes))
    watch.subscribe(lambda _: counts.append(watch.changes), lambda _: None)
    watch.note("one")
    watch.note("two")
    renewed, told = counts
    assert 0 < renewed == told < watch.changes


def test_without_permission_to_ask_it_is_told_once_and_commands_run(redis_servers, new_manager, told):
    """A user whose ACL forbids INFO."""
    server = redis_servers()
    with redis.Redis.from_url(server.url) as client:
        client.acl_setuser(
            "app", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-info"]
        )
    manager = watched(new_manager, server.url, told, username="app", password="secret")
    threads = [threading.Thread(target=manager.execute, args=("PING",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert manager.execute("SET", "a", "1") == b"OK"
    (reason,) = told.unknown
    assert "permission" in reason
    assert told.successors == []


def test_nothing_is_asked_while_nobody_wants_to_know(redis_servers):
    """A manager of its own pays for no round trip more."""
    server = redis_servers()
    with RedisManager(server.url) as manager, redis.Redis.from_url(server.url) as client:
        client.config_resetstat()
        manager.execute("PING")
        assert set(client.info("commandstats")) >= {"cmdstat_ping"}
        assert client.info("commandstats")["cmdstat_info"]["calls"] == 1


def test_a_server_that_hangs_while_it_is_asked_is_out_of_reach_in_time(strange_server, new_manager, told):
    """And of what the caller wants nothing was sent, so it may be repeated elsewhere."""
    server = strange_server(lambda connection: connection.recv(1000) and None)
    manager = watched(new_manager, server.url, told, timeout=0.5, connect_timeout=0.2, deadline=1)
    with pytest.raises(ConnectionError) as caught:
        manager.execute("INCR", "a", repeatable=False)
    assert not getattr(caught.value, "may_have_run", False)


def test_a_replica_that_has_everything_is_told_from_none(redis_servers, new_manager):
    """Whoever has written it."""
    primary, replica = redis_servers(arguments=["--repl-diskless-sync-delay", "0"]), redis_servers()
    manager = new_manager(primary.url)
    assert not manager.await_replica("mark", 0.01)
    with redis.Redis.from_url(replica.url) as client:
        client.replicaof("127.0.0.1", primary.port)
        wait_until(lambda: client.info("replication")["master_link_status"] == "up", reason="it follows")
    assert manager.await_replica("mark", 5.0)
    replica.pause()
    assert not manager.await_replica("mark", 0.05)


def test_waiting_for_a_replica_in_vain_is_no_outage(redis_servers, new_manager):
    """It ends before the attempt's own time is over."""
    manager = new_manager(redis_servers().url, timeout=2, deadline=4)
    assert not manager.await_replica("mark", 60)
    assert manager.state == "closed"
