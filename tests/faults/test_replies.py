"""Replies come late, in pieces, cut off, twice, or are another key's: none is taken for what it is not."""

import itertools
import threading
import time

import pytest
import redis

from greencache import CacheManager
from greencache.backends.redis import RedisManager
from greencache.backends.retry import RetryPolicy
from greencache.errors import GreencacheError
from greencache.testing.proxy import Cut, TcpProxy
from tests.faults.stock_readers import stock_client

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

KEYS = 100
MARK = b"value-of-"
FAILURES = (GreencacheError, redis.RedisError, OSError, ValueError)


@pytest.fixture
def server(redis_servers):
    """A server with a value under each key."""
    server = redis_servers()
    with redis.Redis.from_url(server.url) as client:
        client.mset({key_of(number): value_of(number) for number in range(KEYS)})
    return server


@pytest.fixture
def proxy(server):
    """The way to it."""
    with TcpProxy(("127.0.0.1", server.port)) as proxy:
        yield proxy


@pytest.fixture
def url(server, proxy):
    """Its address."""
    return proxy.url_for(server.url)


@pytest.fixture
def manager(url):
    """What greencache reads with, below the envelope that would notice a foreign value."""
    with RedisManager(url, timeout=0.1, deadline=0.5, retry=RetryPolicy(base=0.001)) as manager:
        yield manager


@pytest.fixture
def cache(url):
    """A cache without L1."""
    with CacheManager.from_urls(l1=None, l3=url, bus=None) as cache:
        yield cache.initialize(strict=True)


@pytest.fixture
def stock(url):
    """redis-py with its defaults, but the same time-out."""
    with stock_client(url, socket_timeout=0.1) as client:
        yield client


def key_of(number):
    """Return the name of a key."""
    return f"key:{number}"


def value_of(number):
    """Return its value as bytes."""
    return MARK + key_of(number).encode()


class Readings:
    """What came of reads by several threads.

    Args:
        get: Reads a key.
        reads: By each thread.
        threads: How many.
    """

    def __init__(self, get, reads, threads):
        self._get, self._reads = get, reads
        self.wrong, self.failed, self.took = [], [], []
        workers = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _run(self, first):
        for step in range(self._reads):
            number = (first * 7 + step) % KEYS
            began = time.monotonic()
            try:
                value = self._get(key_of(number))
                if value not in (value_of(number), None):
                    self.wrong.append((number, value))
            except FAILURES as error:
                self.failed.append(error)
            self.took.append(time.monotonic() - began)


def test_a_late_reply_is_never_used(proxy, manager, stock, figure, is_long):
    """One in a hundred comes when nobody waits for it any more."""
    numbers = itertools.count()
    proxy.replies.latency = lambda: 0.15 if next(numbers) % 100 == 0 else 0.0
    reads = 2_000 if is_long else 200
    ours = Readings(lambda key: manager.execute("GET", key), reads, threads=8)
    figure(
        "7", "wrong values", len(ours.wrong), "reads", "== 0", reads=len(ours.took), failed=len(ours.failed)
    )
    figure("7", "longest read", max(ours.took), "s", "<= 1.0")
    theirs = Readings(stock.get, reads // 4, threads=8)
    figure("7", "stock redis-py: wrong values", len(theirs.wrong), "reads", failed=len(theirs.failed))


def test_pieces_make_no_difference(proxy, manager, stock, figure, is_long):
    """Single bytes, and many replies glued together."""
    rounds = 10 if is_long else 2
    proxy.replies.chunk_size = 1
    ours = Readings(lambda key: manager.execute("GET", key, deadline=5), 10 * rounds, threads=4)
    theirs = Readings(stock.get, 10 * rounds, threads=4)
    figure(
        "8",
        "byte by byte: wrong values",
        len(ours.wrong + ours.failed),
        "reads",
        "== 0",
        reads=len(ours.took),
    )
    figure("8", "stock redis-py: byte by byte: wrong values", len(theirs.wrong), "reads")
    proxy.replies.chunk_size, proxy.replies.glue = None, 0.02
    commands = [("GET", key_of(number % KEYS)) for number in range(2_000)]
    wanted = [value_of(number % KEYS) for number in range(2_000)]
    wrong = sum(manager.execute_many(commands, deadline=5) != wanted for _ in range(rounds))
    figure("8", "64 KiB glued together: wrong batches", wrong, "batches", "== 0", batches=rounds)


def test_a_cut_reply_is_no_reply(proxy, manager, stock, figure):
    """Wherever it is cut, the read is repeated over another connection."""
    length = len(b"$%d\r\n%b\r\n" % (len(value_of(1)), value_of(1)))
    for name, get in (("", lambda key: manager.execute("GET", key)), ("stock redis-py: ", stock.get)):
        wrong, failed, took = [], [], []
        for after in range(length):
            get(key_of(0))
            proxy.replies.cut = Cut(after=after)
            reading = Readings(get, 1, threads=1)
            proxy.replies.cut = None
            wrong, failed, took = wrong + reading.wrong, failed + reading.failed, took + reading.took
        bounds = ("", "", "") if name else ("== 0", "== 0", "<= 500")
        figure("9", f"{name}wrong values", len(wrong), "reads", bounds[0], cuts=length)
        figure("9", f"{name}reads that failed", len(failed), "reads", bounds[1], seen=str(failed[:2]))
        figure("9", f"{name}longest recovery", 1_000 * max(took), "ms", bounds[2])


def test_a_second_reply_is_noticed(proxy, cache, stock, figure, is_long):
    """It is not taken for the reply to the next command, whose connection it would be."""
    for number in range(KEYS):
        cache.set(key_of(number), value_of(number))
    injected, numbers = itertools.count(), itertools.count()

    def repeat(frame):
        if MARK not in frame or next(numbers) % 10:
            return frame
        next(injected)
        return 2 * frame

    proxy.replies.framed, proxy.replies.rewrite = True, repeat
    before = proxy.accepted
    ours = Readings(cache.get, 2_000 if is_long else 200, threads=1)
    sent = next(injected)
    noticed = proxy.accepted - before + cache.get_stats()["L3"].undecodable
    figure("10", "wrong values", len(ours.wrong + ours.failed), "reads", "== 0", reads=len(ours.took))
    figure("10", "second replies noticed, of 100", round(100 * noticed / sent), "", ">= 100", injected=sent)
    theirs = Readings(stock.get, 200, threads=1)
    figure("10", "stock redis-py: wrong values", len(theirs.wrong), "reads", reads=len(theirs.took))


def test_a_reply_of_another_key_is_noticed(proxy, cache, stock, figure, is_long):
    """By the key that its envelope carries: it is a miss, counted as undecodable."""
    for number in range(KEYS):
        cache.set(key_of(number), value_of(number))
    injected, numbers, last = itertools.count(), itertools.count(), []

    def swap(frame):
        if MARK not in frame:
            return frame
        last[:], other = [frame], last[0] if last else frame
        if next(numbers) % 10 or other == frame:
            return frame
        next(injected)
        return other

    proxy.replies.framed, proxy.replies.rewrite = True, swap
    ours = Readings(cache.get, 2_000 if is_long else 300, threads=1)
    sent, noticed = next(injected), cache.get_stats()["L3"].undecodable
    figure("11", "wrong values", len(ours.wrong + ours.failed), "reads", "== 0", reads=len(ours.took))
    figure("11", "replies of other keys not noticed", sent - noticed, "replies", "== 0", injected=sent)
    theirs = Readings(stock.get, 300, threads=1)
    figure("11", "stock redis-py: wrong values", len(theirs.wrong), "reads", reads=len(theirs.took))


def test_a_full_pool_turns_away_in_time(proxy, url, figure):
    """64 threads want one of two connections to a slow server."""
    proxy.replies.latency = 0.05
    with RedisManager(url, max_connections=2, deadline=0.5) as manager:
        ours = Readings(lambda key: manager.execute("GET", key), 1, threads=64)
    figure("12", "wrong values", len(ours.wrong), "reads", "== 0")
    figure("12", "longest wait", max(ours.took), "s", "<= 0.8", turned_away=len(ours.failed))
    figure("12", "turned away, of 64 callers", len(ours.failed), "callers")
    pool = redis.BlockingConnectionPool(host="127.0.0.1", port=proxy.port, max_connections=2)
    theirs = Readings(redis.Redis(connection_pool=pool).get, 1, threads=64)
    figure("12", "stock redis-py: longest wait", max(theirs.took), "s", turned_away=len(theirs.failed))
    pool.disconnect()
