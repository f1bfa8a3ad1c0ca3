"""Writes that lose their connection and run late: nothing that was given up overwrites what is newer."""

import contextlib
import secrets
import socket
import urllib.parse

import psycopg
import pytest
from psycopg import sql

from greencache.backends.breaker import Breaker
from greencache.backends.postgres import PostgresManager
from greencache.backends.redis import RedisManager
from greencache.backends.redis_socket import DeadlineSocket
from greencache.backends.retry import RetryPolicy
from greencache.codecs import Codec
from greencache.entry import Entry
from greencache.errors import TierUnavailableError
from greencache.events import NullRecorder
from greencache.stats import TierCounters
from greencache.testing import FakeClock, wait_until
from greencache.tiers.border import Border
from greencache.tiers.postgres import PostgresTier
from greencache.tiers.redis import RedisTier
from greencache.typing import CacheTier
from tests.tiers.late_way import LateWay

pytestmark = pytest.mark.timeout(120)

MANY = 1_001
"""Keys that are put by COPY."""


@pytest.fixture
def clock():
    """The clock of all entries."""
    return FakeClock()


@pytest.fixture
def entry(clock):
    """Return an entry of a value."""
    return lambda value: Entry(
        value, fresh_until=clock.now() + 60, stale_until=clock.now() + 60, created=clock.wall()
    )


@pytest.fixture
def closing():
    """Close what a test has made."""
    with contextlib.ExitStack() as stack:
        yield lambda manager: stack.enter_context(contextlib.closing(manager))


@pytest.fixture
def parts(clock):
    """Make what each tier is made of."""

    def make(name):
        counters = TierCounters()
        codec, recorder = Codec(clock=clock), NullRecorder()
        border = Border(name, codec, namespace="n", max_size=1_000, counters=counters, recorder=recorder)
        options = {"namespace": "n", "ttl": 60.0, "lease_ttl": 600.0, "clock": clock, "counters": counters}
        return border, options

    return make


@pytest.fixture
def new_tier(parts, closing):
    """Make tiers in PostgreSQL as of processes of their own."""

    def make(url):
        border, options = parts(CacheTier.L4)
        return PostgresTier(
            closing(PostgresManager(url, timeout=60, breaker=Breaker(1_000))), border, **options
        )

    return make


@pytest.fixture
def way(postgres_url):
    """The way to a PostgreSQL."""
    parts = urllib.parse.urlsplit(postgres_url)
    with LateWay((parts.hostname, parts.port)) as way:
        yield way


@pytest.fixture
def tiers(way, postgres_url, new_tier):
    """Return the tier of who writes late, and that of another process."""
    late, other = new_tier(way.url_for(postgres_url)), new_tier(postgres_url)
    late.install()
    return late, other


def values(tier, key="k0"):
    """Return what a tier has under a key."""
    return [found.value for found in tier.get_many([key]).values()]


def put(tier, entry, count=1):
    """Put a value under some keys."""
    return tier.put_many({f"k{number}": entry for number in range(count)})


def is_put(sent):
    """Return whether these bytes bring a put."""
    return b"stale_until" in sent and b"lease_until" in sent


def test_a_put_that_was_repeated_never_runs_late(way, tiers, entry):
    """The first of the two arrives when others have put what is newer."""
    late, other = tiers
    way.is_kept = is_put
    assert put(late, entry("old")) == {"k0"}
    assert way.kept
    assert values(other) == ["old"]
    put(other, entry("new"))
    way.arrive()
    way.wait_for_end()
    assert values(other) == ["new"]


def test_a_put_that_was_repeated_brings_nothing_back_that_was_dropped(way, tiers, entry):
    """Whoever has dropped it."""
    late, other = tiers
    way.is_kept = is_put
    put(late, entry("old"))
    assert way.kept
    other.drop_many(["k0"])
    way.arrive()
    way.wait_for_end()
    assert values(other) == []


def test_a_put_by_copy_that_is_repeated_does_not_wait_for_itself(way, tiers, entry):
    """The first of the two holds the rows, and is not told any more that it is to commit."""
    late, other = tiers
    way.is_kept = lambda sent: b"COMMIT" in sent
    assert len(put(late, entry("new"), MANY)) == MANY
    assert way.kept
    assert values(other) == ["new"]
    way.arrive()
    way.wait_for_end()
    assert values(other, f"k{MANY - 1}") == ["new"]


def test_a_stamp_that_was_replaced_never_becomes_current_late(way, tiers):
    """What was stored under it stays outdated."""
    late, other = tiers
    way.is_kept = lambda sent: b"excluded.stamp" in sent
    late.replace_stamps({"t": "first"})
    assert way.kept
    assert other.read_stamps(["t"]) == {"t": "first"}
    other.replace_stamps({"t": "second"})
    way.arrive()
    way.wait_for_end()
    assert other.read_stamps(["t"]) == {"t": "second"}


FOLLOWED = {"drop": lambda tier, _: tier.drop_many(["k0"]), "put": put}


@pytest.mark.parametrize("resets", [True, False], ids=["broken", "silent"])
@pytest.mark.parametrize("follow", FOLLOWED.values(), ids=list(FOLLOWED))
def test_a_put_that_failed_never_runs_after_what_its_process_does_next(way, tiers, entry, follow, resets):
    """Such as the drop that is queued for it: after that, others store what is newer."""
    late, other = tiers
    manager = late._manager
    way.resets, way.is_kept = resets, is_put
    manager.timeout, manager._retry = 0.5, RetryPolicy(retries=0)
    late.get_many(["k0"])
    with pytest.raises(TierUnavailableError):
        put(late, entry("old"))
    assert way.kept
    manager.timeout = 60.0
    follow(late, entry("next"))
    put(other, entry("new"))
    way.arrive()
    way.wait_for_end()
    assert values(other) == ["new"]


def test_a_put_is_not_repeated_where_it_cannot_be_ended(way, tiers, entry, monkeypatch):
    """Behind a pooler nobody knows where it runs: its caller is told, and the drop is queued."""
    late, other = tiers
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", 1)
    way.is_kept = is_put
    with pytest.raises(TierUnavailableError):
        put(late, entry("old"))
    assert way.kept
    assert values(other) == []
    assert put(late, entry("new")) == {"k0"}


def test_a_drop_is_repeated_anywhere(way, tiers, entry, monkeypatch):
    """To run late, it can only forget."""
    late, other = tiers
    put(other, entry("old"))
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", 1)
    way.is_kept = lambda sent: b"delete from" in sent
    assert late.drop_many(["k0"]) == 1
    assert way.kept


def test_who_may_end_nothing_is_not_overtaken_and_overtakes_nobody(way, postgres_url, new_tier, entry):
    """It neither drops nor puts while what it has given up may run, and does again when that has ended."""
    with as_a_user_who_may_end_nothing(postgres_url) as url:
        late, other = new_tier(way.url_for(url)), new_tier(postgres_url)
        late.install()
        put(late, entry("older"))
        late._manager._retry = RetryPolicy(retries=0)
        way.is_kept = is_put
        for follow in (lambda: put(late, entry("old")), lambda: late.drop_many(["k0"])):
            with pytest.raises(TierUnavailableError):
                follow()
        assert way.kept
        assert values(late) == values(other) == ["older"], "reads and others go on"
        way.forget()
        wait_until(
            lambda: no_error(lambda: late.drop_many(["k0"])), reason="the server notices that it ended"
        )
        assert values(other) == []


@contextlib.contextmanager
def as_a_user_who_may_end_nothing(url):
    """Yield a URL for one who owns nothing yet, and remove that one afterwards."""
    parts, name = urllib.parse.urlsplit(url), f"late_{secrets.token_hex(4)}"
    role, database = sql.Identifier(name), sql.Identifier(parts.path.lstrip("/"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("revoke execute on function pg_terminate_backend(integer, bigint) from public")
        connection.execute(sql.SQL("create role {} login password {}").format(role, sql.Literal(name)))
        connection.execute(sql.SQL("grant create on database {} to {}").format(database, role))
        yield parts._replace(netloc=f"{name}:{name}@{parts.hostname}:{parts.port}").geturl()
        connection.execute(sql.SQL("drop owned by {} cascade").format(role))
        connection.execute(sql.SQL("drop role {}").format(role))


def no_error(call):
    """Return whether a call succeeds by now."""
    try:
        call()
    except TierUnavailableError:
        return False
    return True


@pytest.fixture
def new_redis(parts, closing):
    """Make tiers in Redis as of processes of their own."""

    def make(url):
        manager = closing(RedisManager(url, timeout=30, deadline=60, breaker=Breaker(1_000)))
        manager.watch.subscribe(lambda _: None, lambda _: None)
        border, options = parts(CacheTier.L3)
        return RedisTier(CacheTier.L3, manager, border, **options)

    return make


@pytest.fixture
def redis_way(redis_url):
    """The way to a Redis."""
    parts = urllib.parse.urlsplit(redis_url)
    with LateWay((parts.hostname, parts.port)) as way:
        yield way


@pytest.fixture
def redis_tiers(redis_way, redis_url, new_redis):
    """Return the tier of who writes late, and that of another process; both have used their scripts."""
    late, other = tiers = new_redis(redis_way.url_for(redis_url)), new_redis(redis_url)
    for tier in tiers:
        tier.drop_many(["k0"])
    return late, other


def fail(way, call):
    """Let a call fail that the server has not heard of."""
    way.is_kept = lambda sent: True
    with pytest.raises(TierUnavailableError):
        call()
    assert way.kept


@pytest.mark.parametrize("follow", FOLLOWED.values(), ids=list(FOLLOWED))
def test_a_put_that_failed_in_a_redis_never_runs_after_what_its_process_does_next(
    redis_way, redis_tiers, entry, follow
):
    """It is not repeated; its drop is queued, and after that others store what is newer."""
    late, other = redis_tiers
    put(late, entry("older"))
    fail(redis_way, lambda: put(late, entry("old")))
    follow(late, entry("next"))
    put(other, entry("new"))
    redis_way.arrive()
    redis_way.wait_for_end()
    assert values(other) == ["new"]


def test_a_put_that_a_redis_has_not_answered_never_runs_after_the_drop_of_it(
    redis_way, redis_tiers, entry, monkeypatch
):
    """As with one whose connection broke."""
    late, other = redis_tiers
    put(late, entry("older"))
    redis_way.resets = False
    late._manager.deadline = 0.5
    fail(redis_way, lambda: put(late, entry("old")))
    late._manager.deadline = 60.0
    late.drop_many(["k0"])
    redis_way.arrive()
    redis_way.wait_for_end()
    assert values(other) == []


def test_a_stamp_that_failed_in_a_redis_never_becomes_current_after_its_successor(redis_way, redis_tiers):
    """What its process has stored under it meanwhile, elsewhere, stays outdated."""
    late, other = redis_tiers
    fail(redis_way, lambda: late.replace_stamps({"t": "first"}))
    late.replace_stamps({"t": "second"})
    other.replace_stamps({"t": "third"})
    redis_way.arrive()
    redis_way.wait_for_end()
    assert other.read_stamps(["t"]) == {"t": "third"}


def test_a_stamp_that_is_created_late_does_not_come_back(redis_way, redis_tiers):
    """Where the one that replaced it was evicted."""
    late, other = redis_tiers
    late.read_stamps(["another"])
    redis_way.is_kept = lambda sent: b"\r\nNX\r\n" in sent
    stamps = late.read_stamps(["t"])
    assert redis_way.kept
    other.replace_stamps({"t": "second"})
    other._manager.execute("FLUSHDB")
    redis_way.arrive()
    redis_way.wait_for_end()
    assert other.read_stamps(["t"]) != stamps


def test_a_put_that_failed_in_a_cluster_never_runs_after_the_drop_of_it(
    redis_cluster_url, new_redis, entry, monkeypatch
):
    """Each node is told by whoever asks it next."""
    late, other = new_redis(redis_cluster_url), new_redis(redis_cluster_url)
    for tier in (late, other):
        tier.drop_many(["k0"])
        put(tier, entry("older"))
    held = []
    sendall = DeadlineSocket.sendall

    def hold(self, sent):
        if held:
            return sendall(self, sent)
        held.append((self._sock, sent))
        # The client closes another one, so that the server sees an idle client until what it sent arrives.
        self._sock = socket.socket()
        raise ConnectionResetError

    monkeypatch.setattr(DeadlineSocket, "sendall", hold)
    with pytest.raises(TierUnavailableError):
        put(late, entry("old"))
    [(connection, sent)] = held
    assert b"k0" in sent
    late.drop_many(["k0"])
    put(other, entry("new"))
    connection.settimeout(60)
    with connection, contextlib.suppress(ConnectionError):
        connection.sendall(sent)
        assert not connection.recv(1_000)
    assert values(other) == ["new"]
