"""RedisManager on a Cluster: each command finds its node, and a node that is away stops no other."""

import secrets
import threading
import time

import pytest

from greencache.backends.retry import RetryPolicy
from greencache.backends.scripts import Script, load_script
from greencache.errors import ServerReplyError, TierUnavailableError
from greencache.testing import wait_until
from tests.faults.stopwatch import Metronome

pytestmark = pytest.mark.timeout(120)

ADD = Script.from_text("add", "return {KEYS[1], redis.call('INCRBY', KEYS[1], ARGV[1])}")
KEYS = [f"key{number}" for number in range(300)]


@pytest.fixture
def servers(redis_cluster, redis_cluster_url):
    """Three primaries and three replicas, all up."""
    assert redis_cluster_url == redis_cluster.url
    return redis_cluster


@pytest.fixture
def manager(new_manager, servers):
    """A manager that has used the Cluster."""
    manager = new_manager(servers.url)
    manager.execute("SET", "key", "value")
    return manager


@pytest.fixture
def impatient(new_manager, servers):
    """Another one, which does not wait for long where a node hangs."""
    manager = new_manager(servers.url, timeout=0.5, deadline=2)
    wait_until(lambda: is_written(manager, "key"), deadline=60, reason="the Cluster answers in time")
    return manager


def map_of(manager):
    """Return who knows the nodes."""
    return manager._servers.map


def is_read(manager, key):
    """Return whether a key is found now."""
    try:
        return manager.execute("GET", key) is not None
    except TierUnavailableError:
        return False


def is_written(manager, key):
    """Return whether a key can be written now."""
    try:
        return manager.execute("SET", key, "value") == b"OK"
    except TierUnavailableError:
        return False


def key_of(servers, primary):
    """Return a key that a primary owns."""
    return next(key for key in KEYS if servers.slot_owner(key) is primary)


def test_one_node_is_enough_to_begin_with(new_manager, servers):
    """The others are found."""
    manager = new_manager(servers.url.partition(",")[0])
    assert manager.execute_many([("SET", key, key) for key in KEYS]) == [b"OK"] * 300
    assert len(manager.pools) == 3
    assert {servers.slot_owner(key) for key in KEYS} == set(servers.primaries)


def test_replies_are_in_order_whichever_node_they_are_from(manager):
    """Batches are as many as are needed."""
    keys = [f"k{number}" for number in range(5_000)]
    assert manager.execute_many([("SET", key, key) for key in keys]) == [b"OK"] * 5_000
    assert manager.execute_many([("GET", key) for key in keys]) == [key.encode() for key in keys]
    assert manager.execute("MGET", *keys, "nothing") == [*(key.encode() for key in keys), None]
    assert manager.execute("UNLINK", *keys[:10], "nothing") == 10


def test_one_wrong_command_leaves_the_others_alone(manager):
    """As with one server."""
    with pytest.raises(ServerReplyError, match="WRONGTYPE"):
        manager.execute_many([("SET", "a", 1), ("LPOP", "a"), ("SET", "b", 2)])
    assert manager.execute("GET", "b") == b"2"


def test_a_script_runs_where_its_keys_are(manager):
    """Loaded where it is not known."""
    for _ in range(2):
        results = manager.run_script_many(ADD, [([key], [1]) for key in KEYS])
    assert results == [[key.encode(), 2] for key in KEYS]
    manager.execute("SCRIPT", "FLUSH")
    assert manager.run_script(ADD, ["key0"], [1]) == [b"key0", 3]


def test_the_first_use_of_a_script_needs_no_node_that_hangs(new_manager, servers):
    """One that takes up all the time there is leaves the others none for a second round."""
    manager = new_manager(servers.url, timeout=3.0, deadline=3.0)
    wait_until(lambda: all(is_written(manager, key) for key in KEYS), reason="the Cluster answers in time")
    hung = servers.primaries[0]
    others = [key for key in KEYS if servers.slot_owner(key) is not hung]
    fresh = Script.from_text("fresh", f"-- {secrets.token_hex(8)}\nreturn {{KEYS[1], tonumber(ARGV[1])}}")
    hung.pause()
    results = manager.run_script_many(fresh, [([key], [1]) for key in KEYS], partial=True)
    hung.resume()
    answers = dict(zip(KEYS, results, strict=True))
    assert [answers[key] for key in others] == [[key.encode(), 1] for key in others]


def test_a_user_who_may_load_no_scripts_runs_them(new_manager, manager, servers):
    """By their text, as on one server."""
    for node in servers.nodes:
        node.execute("ACL", "SETUSER", "modest", "on", ">pw", "~*", "+@all", "-script")
    modest = new_manager(servers.url, username="modest", password="pw")
    manager.execute("SCRIPT", "FLUSH")
    for count in (1, 2):
        assert modest.run_script_many(ADD, [([key], [1]) for key in KEYS]) == [
            [key.encode(), count] for key in KEYS
        ]


def test_a_scan_visits_every_primary(manager):
    """And finds all keys of a pattern."""
    manager.execute_many([("SET", key, key) for key in KEYS])
    found = {name for names in manager.scan("key?*") for name in names}
    assert found == {key.encode() for key in KEYS}


def test_its_health_is_that_of_all_nodes(manager, servers):
    """One that is away is named."""
    health = manager.check()
    assert (health.up, health.is_whole, health.error) == (True, True, None)
    servers.primaries[0].kill()
    health = manager.check()
    assert (health.up, health.is_whole) == (True, False)
    assert f":{servers.primaries[0].port} cannot be reached" in health.error


def test_replicas_of_all_nodes_are_waited_for(manager, servers):
    """One without a replica says no."""
    assert manager.await_replica("mark", 1.0)
    servers.replicas[0].pause()
    manager.execute_many([("SET", key, key) for key in KEYS])
    assert not manager.await_replica("mark", 0.2)


@pytest.mark.parametrize("how", ["killed", "hung", "left"])
def test_it_follows_a_failover(impatient, servers, how):
    """All keys are read and written again, and nothing goes to the former primary any more."""
    old = servers.primaries[0]
    key = key_of(servers, old)
    wait_until(lambda: is_written(impatient, key), deadline=60, reason="it is written")
    wait_until(lambda: impatient.await_replica("mark", 1.0), deadline=60, reason="a replica has it")
    if how == "left":
        servers.failover(old)
    else:
        (old.kill if how == "killed" else old.pause)()
        servers.await_failover(old)
    wait_until(lambda: is_read(impatient, key), deadline=60, reason="the new owner answers")
    wait_until(
        lambda: old.address not in map_of(impatient).slots.places,
        deadline=60,
        reason="the former one is left",
    )
    wait_until(lambda: is_written(impatient, key), deadline=60, reason="it is written again")


@pytest.mark.parametrize("how", ["killed", "hung"])
def test_a_dead_node_stops_no_other(impatient, servers, how):
    """Whose calls are as quick as ever."""
    old, *others = servers.primaries
    (old.kill if how == "killed" else old.pause)()
    dead, sound = key_of(servers, old), [key_of(servers, each) for each in others]
    stop = threading.Event()

    def knock():
        while not stop.wait(0.002):
            is_read(impatient, dead)

    threads = [threading.Thread(target=knock) for _ in range(8)]
    for thread in threads:
        thread.start()
    longest = 0.0
    with Metronome() as machine:
        for _ in range(200):
            start = time.monotonic()
            impatient.execute_many([("GET", key) for key in sound])
            longest = max(longest, machine.without_pauses(start, time.monotonic()))
    stop.set()
    for thread in threads:
        thread.join(30)
    # One of the calls may be the one that asks for the map, and the machine is busy.
    assert longest < 0.7


def test_whether_a_dead_node_is_back_is_asked_once(impatient, servers, monkeypatch):
    """By one caller, who does not wait to ask again."""
    old = servers.primaries[0]
    dead, place = key_of(servers, old), old.address
    for node in (*servers.replicas_of(old), old):  # so that nobody takes its place
        node.kill()
    breaker = map_of(impatient).node(place).breaker
    wait_until(lambda: not is_read(impatient, dead) and breaker.is_open, reason="it is left alone")
    asked = []
    attempt = impatient._servers._attempt

    def count(*arguments, **options):
        asked.append(breaker.state)
        return attempt(*arguments, **options)

    monkeypatch.setattr(impatient._servers, "_attempt", count)
    breaker.hasten()
    assert not is_read(impatient, dead)
    assert len(asked) == 1


def test_the_replies_of_sound_nodes_are_kept_when_another_is_away(new_manager, servers):
    """Each says for itself."""
    manager = new_manager(servers.url, timeout=1.0, deadline=1.5)
    manager.execute_many([("SET", key, key) for key in KEYS])
    old = servers.primaries[0]
    owners = [servers.slot_owner(key) for key in KEYS]
    old.pause()
    replies = manager._servers.execute_many([("GET", key) for key in KEYS], 1.5, repeatable=True)
    for key, owner, reply in zip(KEYS, owners, replies, strict=True):
        if owner is old:
            assert isinstance(reply, TierUnavailableError)
        else:
            assert reply == key.encode()


def test_nodes_are_asked_for_the_map_once_per_second(impatient, servers):
    """However many threads have reason to."""
    old = servers.primaries[0]
    key = key_of(servers, old)
    old.pause()
    start, before = time.monotonic(), map_of(impatient).questions
    threads = [threading.Thread(target=is_read, args=(impatient, key)) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert map_of(impatient).questions - before <= time.monotonic() - start + 1


def test_a_slot_that_is_being_moved_is_read_and_written(manager, servers):
    """ASK for what has moved already, MOVED at the end; and nothing is lost."""
    keys = [f"{{slot}}{number}" for number in range(20)]
    manager.execute_many([("SET", key, key) for key in keys])
    slot, source = servers.slot_of("{slot}"), servers.slot_owner("{slot}")
    target = next(each for each in servers.primaries if each is not source)
    migration = servers.migration(slot, target)
    migration.begin()
    migration.move_keys(10)
    values = [key.encode() for key in keys]
    assert manager.execute_many([("GET", key) for key in keys]) == values
    assert manager.execute("GET", "{slot}new") is None
    assert manager.execute("SET", "{slot}new", "new") == b"OK"
    migration.move_keys()
    migration.finish()
    assert manager.execute_many([("GET", key) for key in keys]) == values
    assert manager.execute("GET", "{slot}new") == b"new"
    assert map_of(manager).slots.owners[slot] == target.address


def test_several_keys_of_a_slot_that_is_being_moved_are_waited_for(manager, servers):
    """TRYAGAIN, until it has moved."""
    manager.execute_many([("SET", "{slot}a", 1), ("SET", "{slot}b", 2)])
    source = servers.slot_owner("{slot}")
    target = next(each for each in servers.primaries if each is not source)
    migration = servers.migration(servers.slot_of("{slot}"), target)
    migration.begin()
    migration.move_keys(1)

    def finish():
        migration.move_keys()
        migration.finish()

    timer = threading.Timer(0.2, finish)
    timer.start()
    assert manager.execute("MGET", "{slot}a", "{slot}b", deadline=10) == [b"1", b"2"]
    timer.join(30)


def test_another_owner_of_slots_is_noticed_like_another_server(manager, servers):
    """Before anything is read from it, and once."""
    noticed = []
    manager.watch.subscribe(noticed.append, noticed.append)
    old = servers.primaries[0]
    key = key_of(servers, old)
    manager.execute("SET", key, "value")
    assert not noticed
    before = manager.watch.changes
    servers.failover(old)
    assert manager.execute("GET", key) == b"value"
    assert len(noticed) == 1
    assert manager.watch.changes == before + 2


def test_a_restarted_node_is_noticed(new_manager, redis_clusters):
    """It has lost what it had."""
    servers = redis_clusters(replicas=0)
    manager = new_manager(servers.url, timeout=0.5, deadline=2)
    noticed = []
    manager.watch.subscribe(noticed.append, noticed.append)
    node = servers.primaries[0]
    key = key_of(servers, node)
    manager.execute("SET", key, "value")
    node.restart()
    wait_until(lambda: not is_read(manager, key) and noticed, deadline=20, reason="it is noticed")


def test_a_listener_follows_the_key_that_it_is_for(manager, servers):
    """It is told by MOVED, or by the end of its connection."""
    old = servers.slot_owner("stream")
    listener = manager.open_listener(5, "stream")
    assert listener.execute("XADD", "stream", "1-0", "a", "b") == b"1-0"
    assert manager.await_replica("mark", 5.0)
    servers.failover(old)

    def listens():
        try:
            return listener.execute("XADD", "stream", "*", "a", "b")
        except TierUnavailableError:
            listener.close()
            return None

    if listens() is None:
        listener = manager.open_listener(5, "stream")
        wait_until(lambda: servers.slot_owner("stream") is not old, deadline=10, reason="it has moved")
        assert listener.execute("XLEN", "stream") == 1
    listener.close()


def test_nodes_that_send_a_command_to_each_other_are_left_alone(new_manager, strange_server):
    """After some hops, and within the deadline."""

    def talk(sock):
        while received := sock.recv(65_536):
            if b"SLOTS" in received:
                info = b"cluster_state:ok\r\ncluster_current_epoch:1\r\n"
                sock.sendall(b"$%d\r\n%b\r\n" % (len(info), info))
                sock.sendall(b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n" % server.port)
            else:
                sock.sendall(b"-MOVED 1 127.0.0.1:%d\r\n" % server.port)

    server = strange_server(talk)
    manager = new_manager(
        server.url.replace("redis:", "redis+cluster:"), retry=RetryPolicy(retries=1), deadline=1
    )
    with pytest.raises(TierUnavailableError, match="send a command to each other"):
        manager.execute("GET", "key")


def test_who_is_no_cluster_is_an_outage(new_manager, redis_url):
    """The message says what it has answered."""
    manager = new_manager(redis_url.partition("/0")[0].replace("redis:", "redis+cluster:"))
    with pytest.raises(TierUnavailableError, match="cluster support disabled"):
        manager.execute("PING")


def test_a_drop_is_one_step_on_a_cluster_too(manager):
    """A value and the lease on it have one slot."""
    drop = load_script("drop")
    manager.execute_many([("SET", f"gc:v:{{one:{key}}}", key) for key in KEYS])
    calls = [([f"gc:v:{{one:{key}}}", f"gc:l:{{one:{key}}}"], ()) for key in KEYS]
    assert manager.run_script_many(drop, calls) == [1] * 300
