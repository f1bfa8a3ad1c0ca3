"""Reads of replicas: proved to be hardly behind, or left to the primary."""

import contextlib

import pytest

from greencache.backends.redis_replica_proof import Position, Sample, Samples, position_of, sample_of
from greencache.backends.redis_touched import Touched
from greencache.errors import ConfigurationError
from greencache.testing import FakeClock, wait_until
from tests.backends.replicated import Replicated, ask, gets

pytestmark = pytest.mark.timeout(120)

BOUND = 4.0
PART = BOUND / 4


@pytest.fixture
def clock():
    """The clock of managers whose time passes when a test says so."""
    return FakeClock()


@pytest.fixture
def replicated(redis_servers):
    """Start a primary with replicas."""
    with contextlib.ExitStack() as stack:
        yield lambda replicas=1: Replicated(redis_servers, stack, replicas)


def new_reader(new_manager, url, clock=None, **options):
    """Return a manager that may read replicas, and has connected."""
    manager = new_manager(url, clock=clock, replica_reads=BOUND, **options)
    manager.execute("PING")
    return manager


def await_answer(manager, clock, name, value):
    """Let time pass until a replica answers."""

    def is_answered():
        clock.advance(PART)
        return manager.replicas.read([name]) == [value]

    wait_until(is_answered, deadline=30, reason="a replica is proved to have it")


@pytest.mark.parametrize("topology", ["redis_sentinel", "redis_cluster"])
def test_values_are_read_at_replicas(request, new_manager, topology):
    """Of each primary; the primaries themselves are spared."""
    url = request.getfixturevalue(f"{topology}_url")
    servers = request.getfixturevalue(topology)
    manager = new_reader(new_manager, url)
    names = [b"name:%d" % number for number in range(60)]
    manager.execute_many([("SET", name, name + b"!") for name in names])
    wait_until(
        lambda: manager.replicas.read(names) == [name + b"!" for name in names],
        deadline=30,
        reason="replicas are proved to have all",
    )
    replicas = [node for node in servers.nodes if node.replication()["role"] == "slave"]
    primaries = [node for node in servers.nodes if node not in replicas]
    count = lambda nodes: sum(calls_of(node) for node in nodes)  # noqa: E731
    before = count(replicas), count(primaries)
    manager.replicas.read(names)
    assert (count(replicas) - before[0], count(primaries) - before[1]) == (60, 0)


def calls_of(node):
    """Return how many GET a node has run."""
    text = node.execute("INFO", "commandstats")
    lines = [line for line in text.splitlines() if line.startswith("cmdstat_get:")]
    return int(lines[0].partition("calls=")[2].partition(",")[0]) if lines else 0


def test_what_a_replica_lacks_is_left_to_the_primary(replicated, new_manager, clock):
    """As is what is no text."""
    servers = replicated()
    manager = new_reader(new_manager, servers.url, clock)
    manager.execute("SET", "there", "1")
    manager.execute("LPUSH", "list", "1")
    servers.await_links()
    await_answer(manager, clock, b"there", b"1")
    assert manager.replicas.read([b"absent", b"list", b"there"]) == [None, None, b"1"]


def test_a_replica_that_lags_is_not_read_past_the_bound(replicated, new_manager, clock):
    """Though it takes itself for up to date; within the bound it is."""
    servers = replicated()
    manager = new_reader(new_manager, servers.url, clock)
    ask(servers.primary, "SET", "key", "old")
    servers.await_links()
    await_answer(manager, clock, b"key", b"old")
    servers.hold_links()
    ask(servers.primary, "SET", "key", "new")
    clock.advance(PART)
    assert manager.replicas.read([b"key"]) == [b"old"]
    clock.advance(BOUND - PART)
    for _ in range(8):
        assert manager.replicas.read([b"key"]) == [None]
        clock.advance(PART)
    assert ask(servers.replicas[0], "GET", "key") == b"old"
    servers.heal_links()
    await_answer(manager, clock, b"key", b"new")


def test_nothing_older_than_a_note_is_found(replicated, new_manager, clock):
    """Whatever the replica has: the primary is asked until the replica is proved to be newer."""
    servers = replicated()
    manager = new_reader(new_manager, servers.url, clock)
    ask(servers.primary, "MSET", "key", "old", "other", "1")
    servers.await_links()
    await_answer(manager, clock, b"key", b"old")
    servers.hold_links()
    ask(servers.primary, "SET", "key", "new")
    manager.replicas.note([b"key"])
    assert manager.replicas.read([b"key", b"other"]) == [None, b"1"]
    manager.replicas.note_all()
    assert manager.replicas.read([b"key", b"other"]) == [None, None]
    servers.heal_links()
    await_answer(manager, clock, b"key", b"new")


@pytest.mark.parametrize("how", ["promoted", "elsewhere"])
def test_who_does_not_follow_the_primary_is_not_read(replicated, redis_servers, new_manager, clock, how):
    """Whatever its own position is: it is one in another history."""
    servers = replicated()
    manager = new_reader(new_manager, servers.url, clock)
    ask(servers.primary, "SET", "key", "value")
    servers.await_links()
    await_answer(manager, clock, b"key", b"value")
    replica = servers.replicas[0]
    if how == "promoted":
        ask(replica, "REPLICAOF", "NO", "ONE")
    else:
        other = redis_servers(arguments=("--repl-diskless-sync-delay", "0"))
        ask(other, "SET", "key", "x" * 10_000)
        ask(replica, "REPLICAOF", "127.0.0.1", other.port)
        wait_until(lambda: ask(replica, "GET", "key") != b"value", deadline=30, reason="it follows another")
        ask(other, "SET", "filler", "x" * 100_000)
        wait_until(lambda: ask(replica, "EXISTS", "filler"), deadline=30, reason="it is far ahead there")
    assert manager.replicas.read([b"key"]) == [None]


def test_no_answer_is_older_than_one_before(replicated, new_manager, clock, monkeypatch):
    """Of another replica neither."""
    servers = replicated(replicas=2)
    first, second = servers.replicas
    monkeypatch.setattr(
        "greencache.backends.redis_replicas.random.choice",
        lambda places: next((place for place in places if place[1] == first.port), places[0]),
    )
    manager = new_reader(new_manager, servers.url, clock)
    ask(servers.primary, "SET", "key", "old")
    servers.await_links()
    await_answer(manager, clock, b"key", b"old")
    servers.links[1].replies.stalled = True
    ask(servers.primary, "SET", "key", "new")
    wait_until(lambda: ask(first, "GET", "key") == b"new", deadline=30, reason="one replica has it")
    assert manager.replicas.read([b"key"]) == [b"new"]
    first.kill()
    assert manager.replicas.read([b"key"]) == [None]
    asked = gets(second)
    assert manager.replicas.read([b"key"]) == [None]
    assert gets(second) == asked + 1


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_a_replica_that_does_not_answer_is_left_alone(replicated, new_manager, how):
    """Nobody gets its error, and the next one does not ask it."""
    servers = replicated()
    manager = new_reader(new_manager, servers.url)
    manager.execute("SET", "key", "value")
    read = lambda: manager.replicas.read([b"key"])  # noqa: E731
    wait_until(lambda: read() == [b"value"], deadline=30, reason="the replica is proved to have it")
    getattr(servers.replicas[0], how)()
    assert read() == [None]
    (group,) = manager.replicas._by_primary.values()
    assert group._choose() is None
    assert manager.execute("GET", "key") == b"value"


def test_a_single_server_is_refused(redis_url, new_manager):
    """Its replicas have no place here."""
    with pytest.raises(ConfigurationError, match=r"redis\+sentinel:// or redis\+cluster://"):
        new_manager(redis_url, replica_reads=1.0)


def test_a_sample_proves_what_has_reached_it():
    """In the history of the newest one only."""
    samples = Samples()
    assert samples.proved(Position(b"a", 10)) is None
    for since, offset in ((1.0, 10), (2.0, 20), (3.0, 30)):
        samples.add(Sample(since, Position(b"a", offset), ()))
    samples.add(Sample(2.5, Position(b"a", 25), ()))
    assert [samples.proved(Position(b"a", offset)) for offset in (9, 10, 29, 30)] == [None, 1.0, 2.0, 3.0]
    assert samples.proved(Position(b"b", 99)) is None
    samples.add(Sample(4.0, Position(b"b", 40), ()))
    assert samples.proved(Position(b"a", 99)) is None


def test_who_is_no_primary_or_replica_says_nothing():
    """Nor does who has lost its primary, or refuses."""
    primary = (
        b"role:master\r\nslave0:ip=h,port=1,state=online,offset=5\r\nslave1:ip=i,port=2,state=send_bulk\r\n"
    )
    primary += b"master_replid:aa\r\nmaster_repl_offset:5\r\n"
    replica = b"role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:4\r\nmaster_replid:aa\r\n"
    assert sample_of(primary, 1.0) == Sample(1.0, Position(b"aa", 5), (("h", 1),))
    assert position_of(replica) == Position(b"aa", 4)
    assert sample_of(replica, 1.0) is None
    assert position_of(primary) is None
    assert position_of(replica.replace(b":up", b":down")) is None
    assert position_of(ValueError("NOPERM")) is None


def test_more_notes_than_fit_are_one_of_everything(clock):
    """Nothing noted is forgotten before its time."""
    touched = Touched(clock, capacity=3)
    clock.advance(1)
    touched.note([b"a", b"b"])
    assert (touched.last(b"a"), touched.last(b"z")) == (1_001.0, 1_000.0)
    clock.advance(1)
    touched.note([b"c", b"d"])
    assert touched.last(b"z") == touched.last(b"a") == 1_002.0
