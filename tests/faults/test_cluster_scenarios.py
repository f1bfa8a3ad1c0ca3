"""A Cluster and many keys at once, scans, lost slots, storms, nodes that lie, nodes that are replaced."""

import contextlib
import itertools
import math
import re
import statistics
import threading
import time

import pytest
import redis

from greencache import CacheManager
from greencache.backends.redis import RedisManager
from greencache.backends.redis_names import RedisNames
from greencache.errors import InvalidationPending, TierUnavailableError
from greencache.testing import wait_until
from tests.backends.conftest import StrangeServer
from tests.faults.figures import only_in_a_long_run
from tests.faults.stock_readers import stock_client
from tests.faults.stopwatch import seconds_of

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

NAMES = RedisNames("scenes")
KEYS = [f"key{number}" for number in range(300)]
TIMEOUT, DEADLINE, GRACE = 2.0, 3.0, 1.0
"""Seconds; no node hangs here, so a time-out would tell of the machine alone."""
QUESTIONS = re.compile(r"cmdstat_cluster\|(?:slots|shards|nodes):calls=(\d+)")


@pytest.fixture
def new_cache(tmp_path):
    """Make caches over a Cluster."""
    with contextlib.ExitStack() as stack:

        def make(url):
            config = tmp_path / "greencache.yaml"
            config.write_text(
                "namespace: scenes\nl1:\n  enabled: false\n"
                f"l3:\n  url: {url}\n  timeout: {TIMEOUT}\n  deadline: {DEADLINE}\n"
            )
            return stack.enter_context(CacheManager.from_config(config)).initialize(strict=True)

        yield make


def lost_primary(servers):
    """Return a primary that has neither the stamps nor the bus."""
    keeper = servers.slot_owner(NAMES.bus)
    return next(each for each in servers.primaries if each is not keeper)


def shares_found(read, until):
    """Read all keys again and again; return which part was found each time, and the longest call."""
    shares, longest = [], 0.0
    while not until():
        began = time.monotonic()
        try:
            found = read()
        except redis.RedisError:
            found = 0
        shares.append(found)
        longest = max(longest, time.monotonic() - began)
    return shares, longest


@only_in_a_long_run
def test_many_keys_are_read_while_a_node_dies(redis_clusters, new_cache, figure):
    """What the others have is served by each call."""
    servers = redis_clusters()
    cache, stock = new_cache(servers.url), stock_client(servers.url)
    writer = new_cache(servers.url)
    writer.mset(dict.fromkeys(KEYS, "value"))
    writer.close()  # after a failover it would forget what it has just written
    stock.mset_nonatomic(dict.fromkeys(KEYS, "value"))
    gone = lost_primary(servers)
    there = [key for key in KEYS if servers.slot_owner(NAMES.value(key)) is not gone]
    cache.mget(KEYS)
    gone.kill()
    over = time.monotonic() + 3.0
    counts, longest = shares_found(lambda: len(cache.mget(KEYS)), lambda: time.monotonic() > over)
    figure("50", "killed: found of other nodes, worst call", 100 * min(counts) / len(there), "%", ">= 100")
    figure("50", "killed: longest call", longest, "s", f"<= {DEADLINE + GRACE}", calls=len(counts))
    servers.await_failover(gone)
    servers.heal()
    wait_until(lambda: len(cache.mget(KEYS)) >= len(there), deadline=20, reason="all is well again")
    gone = lost_primary(servers)
    stock_there = [key for key in KEYS if servers.slot_owner(key) is not gone]
    gone.kill()
    over = time.monotonic() + 3.0
    read = lambda: sum(value is not None for value in stock.mget_nonatomic(KEYS))  # noqa: E731
    counts, longest = shares_found(read, lambda: time.monotonic() > over)
    figure(
        "50",
        "stock redis-py: found of other nodes, worst call",
        min(100, 100 * min(counts) / len(stock_there)),
        "%",
    )
    figure("50", "stock redis-py: longest call", longest, "s", calls=len(counts))


@only_in_a_long_run
@pytest.mark.parametrize("scenario", ["killed", "moved"])
def test_a_pattern_forgets_all_that_was_there(redis_clusters, new_cache, figure, scenario):
    """While a node is lost, and while slots are moved; or it says that something waits."""
    servers = redis_clusters()
    cache, stock = new_cache(servers.url), stock_client(servers.url)
    missed = said = rounds = 0
    stock_missed = stock_rounds = stock_said = 0
    stop = threading.Event()

    def disturb():
        if scenario == "killed":
            lost_primary(servers).kill()
            return
        for key in itertools.cycle(KEYS):
            if stop.is_set():
                return
            name = NAMES.value(key) if rounds % 2 else key
            owner = servers.slot_owner(name)
            target = next(each for each in servers.primaries if each is not owner)
            servers.migrate_slot(servers.slot_of(name), target)

    thread = threading.Thread(target=disturb)
    over = time.monotonic() + 12.0
    while time.monotonic() < over:
        rounds += 1
        cache.mset(dict.fromkeys(KEYS, rounds)) if scenario == "moved" or rounds == 1 else None
        with contextlib.suppress(redis.RedisError):
            for key in KEYS:
                stock.set(key, rounds)
        if rounds == 1:
            thread.start()
        try:
            cache.invalidate(pattern="key*")
        except InvalidationPending:
            said += 1
        missed += len(cache.mget(KEYS))
        stock_rounds += 1
        try:
            stock.delete(*stock.scan_iter("key*", count=10, target_nodes="primaries"))
            stock_missed += sum(stock.get(key) is not None for key in KEYS)
        except redis.RedisError:
            stock_said += 1
    stop.set()
    thread.join(60)
    figure(
        "51", f"{scenario}: keys read that were forgotten", missed, "keys", "== 0", rounds=rounds, said=said
    )
    detail = {"rounds": stock_rounds, "errors": stock_said}
    figure("51", f"stock redis-py: {scenario}: keys missed by SCAN", stock_missed, "keys", **detail)


@pytest.mark.parametrize("coverage", ["no", "yes"])
def test_slots_that_nobody_covers_are_left_for_the_next_tier(redis_clusters, new_cache, figure, coverage):
    """A primary is lost without a replica: at once, whether or not the others serve their slots still."""
    servers = redis_clusters(replicas=0, arguments=["--cluster-require-full-coverage", coverage])
    cache, stock = new_cache(servers.url), stock_client(servers.url)
    numbers = itertools.count()
    gone = lost_primary(servers)
    others = [each for each in servers.primaries if each is not gone]
    lost = [key for key in KEYS if servers.slot_owner(NAMES.value(key)) is gone]
    cache.get_or_load(lost[0], dict)
    gone.kill()
    wait_until(
        lambda: all(f"{gone.node_id} " in line and "fail" in line for line in lines_about(gone, others)),
        deadline=30,
        reason="the others know it",
    )
    times = [seconds_of(lambda: cache.get_or_load(lost[next(numbers) % len(lost)], dict)) for _ in range(100)]
    name = f"full coverage {coverage}"
    figure("52", f"{name}: longest load", max(times), "s", f"<= {3 * DEADLINE + GRACE}")
    figure("52", f"{name}: load, median", 1_000 * statistics.median(times), "ms", "<= 50")
    theirs = [seconds_of(lambda: quietly(stock.get, gone_key(servers, gone))) for _ in range(3)]
    figure("52", f"stock redis-py: {name}: get, median", 1_000 * statistics.median(theirs), "ms")


def lines_about(node, others):
    """Return what others say of a node."""
    return [
        next(
            line
            for line in str(each.execute("CLUSTER", "NODES")).splitlines()
            if line.startswith(node.node_id)
        )
        for each in others
    ]


def gone_key(servers, gone):
    """Return a plain key of a node."""
    return next(key for key in KEYS if servers.slot_owner(key) is gone)


def quietly(call, *arguments):
    """Call, whatever comes of it."""
    with contextlib.suppress(redis.RedisError):
        call(*arguments)


def questions_in(servers, read, seconds):
    """Return how often living nodes were asked who owns what while 64 threads read, in a second."""

    def count():
        living = [node for node in servers.nodes if node.is_responsive]
        told = [str(node.execute("INFO", "commandstats")) for node in living]
        return sum(int(calls) for text in told for calls in QUESTIONS.findall(text))

    stop = threading.Event()

    def go_on(number):
        for key in itertools.islice(itertools.cycle(KEYS), number, None):
            if stop.is_set():
                return
            read(key)
            time.sleep(0.01)

    threads = [threading.Thread(target=go_on, args=(number,), daemon=True) for number in range(64)]
    before, began = count(), time.monotonic()
    for thread in threads:
        thread.start()
    stop.wait(seconds)
    asked, took = count() - before, time.monotonic() - began
    stop.set()
    for thread in threads:
        thread.join(30)
    return asked / math.ceil(took)


@only_in_a_long_run
def test_a_dead_node_makes_no_storm_of_questions(redis_clusters, figure):
    """One client asks who owns what once a second, whoever of its threads would know."""
    servers = redis_clusters(replicas=0)
    with RedisManager(servers.url, timeout=TIMEOUT, deadline=DEADLINE) as manager:
        stock = stock_client(servers.url)
        manager.execute("GET", "key")
        servers.primaries[0].kill()

        def read(key):
            with contextlib.suppress(TierUnavailableError):
                manager.execute("GET", key)

        ours = questions_in(servers, read, 6.0)
        theirs = questions_in(servers, lambda key: quietly(stock.get, key), 6.0)
    figure("53", "64 threads, a dead node: topology questions", ours, "1/s", "<= 1")
    figure("53", "stock redis-py: 64 threads, a dead node: topology questions", theirs, "1/s")


_GET_IS_A_COMMAND = b"*1\r\n*6\r\n$3\r\nget\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n"


class Pair:
    """Two nodes, each of which says that the other one has all keys."""

    def __init__(self):
        self.asked = 0
        self.nodes = [StrangeServer(lambda sock, mine=mine: self._talk(sock, mine)) for mine in (0, 1)]

    def close(self):
        """End both."""
        for node in self.nodes:
            node.close()

    def _talk(self, sock, mine):
        while received := sock.recv(65_536):
            for command in re.split(rb"(?=\*\d+\r\n\$)", received)[1:]:
                sock.sendall(self._reply(command, mine))

    def _reply(self, command, mine):
        port = self.nodes[0].port
        if b"INFO" in command and b"CLUSTER" in command:
            text = b"cluster_state:ok\r\ncluster_current_epoch:1\r\n"
            return b"$%d\r\n%b\r\n" % (len(text), text)
        if b"SLOTS" in command:
            return b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n" % port
        if b"GET" in command:
            self.asked += 1
            return b"-MOVED 12539 127.0.0.1:%d\r\n" % self.nodes[1 - mine].port
        return _GET_IS_A_COMMAND if b"COMMAND" in command else b"+OK\r\n"


def test_nodes_that_point_at_each_other_are_not_followed_for_ever(figure):
    """A read ends after some hops, within its deadline."""
    with contextlib.closing(Pair()) as pair:
        url = f"redis+cluster://127.0.0.1:{pair.nodes[0].port}"
        with RedisManager(url, timeout=TIMEOUT, deadline=DEADLINE) as manager:

            def read():
                with pytest.raises(TierUnavailableError):
                    manager.execute("GET", "key")

            took = seconds_of(read)
        figure("54", "MOVED to and fro: commands sent for one read", pair.asked, bound="<= 24")
        figure("54", "MOVED to and fro: a read", took, "s", f"<= {DEADLINE + GRACE}")
        pair.asked = 0
        stock = stock_client(url, protocol=2)
        took = seconds_of(lambda: quietly(stock.get, "key"))
        figure("54", "stock redis-py: MOVED to and fro: commands sent for one read", pair.asked)
        figure("54", "stock redis-py: MOVED to and fro: a read", took, "s")


@only_in_a_long_run
def test_a_node_that_was_replaced_is_found_at_its_new_place(redis_clusters, figure):
    """Another host or port that nobody has named: the clients learn of it by themselves."""
    servers = redis_clusters()
    old = servers.primaries[0]
    key = next(key for key in KEYS if servers.slot_owner(key) is old)
    with RedisManager(servers.url, timeout=TIMEOUT, deadline=DEADLINE) as manager:
        stock = stock_client(servers.url)
        manager.execute("SET", key, "value")
        (replaced,) = servers.replicas_of(old)
        new = servers.add_node(old)
        wait_until(lambda: new.follows(old), deadline=30, reason="the new node has all keys")
        replaced.kill()
        old.kill()
        servers.await_failover(old)
        promoted = time.monotonic()
        found = {}

        def is_found(name, read):
            def attempt():
                with contextlib.suppress(redis.RedisError, TierUnavailableError):
                    found.setdefault(name, time.monotonic() - promoted) if read() == b"value" else None
                return name in found

            wait_until(attempt, deadline=30, interval=0.005, reason=f"{name} finds the new node")

        is_found("ours", lambda: manager.execute("GET", key))
        again = time.monotonic()
        is_found("stock", lambda: stock.get(key))
    assert servers.slot_owner(key) is new
    figure("55", "replaced elsewhere: found after its promotion", found["ours"], "s", "<= 2.0")
    theirs = found["stock"] - (again - promoted)
    figure("55", "stock redis-py: replaced elsewhere: found after another", theirs, "s")
