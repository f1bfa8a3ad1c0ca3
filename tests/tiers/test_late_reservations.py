"""Reservations that lose their connection, and run late or unheard: no lease is good again once voided."""

import contextlib
import socket

import pytest

from greencache.backends.breaker import Breaker
from greencache.backends.postgres import PostgresManager, PostgresSession
from greencache.backends.postgres_errors import ConnectionLostError
from greencache.backends.redis import RedisManager
from greencache.backends.redis_socket import DeadlineSocket
from greencache.codecs import Codec
from greencache.entry import Entry
from greencache.events import NullRecorder
from greencache.stats import TierCounters
from greencache.testing import FakeClock, wait_until
from greencache.testing.proxy import TcpProxy
from greencache.tiers.border import Border
from greencache.tiers.postgres import PostgresTier
from greencache.tiers.redis import RedisTier
from greencache.typing import CacheTier

pytestmark = pytest.mark.timeout(120)

IS_RESERVATION = b"\r\nNX\r\n"

VERBS = {
    "reserve": lambda tier: tier.reserve_many(["k"]),
    "reserve and get": lambda tier: tier.reserve_and_get(["k"])[0],
}

both_verbs = pytest.mark.parametrize("verb", VERBS.values(), ids=list(VERBS))


@pytest.fixture
def clock():
    """The clock of all entries."""
    return FakeClock()


@pytest.fixture
def new_tier(clock):
    """Make tiers as of processes of their own."""
    with contextlib.ExitStack() as stack:

        def make(kind, manager):
            stack.callback(manager.close)
            counters = TierCounters()
            border = Border(
                CacheTier.L3,
                Codec(clock=clock),
                namespace="n",
                max_size=1_000,
                counters=counters,
                recorder=NullRecorder(),
            )
            arguments = (CacheTier.L3, manager, border) if kind is RedisTier else (manager, border)
            return kind(*arguments, namespace="n", ttl=60.0, lease_ttl=600.0, clock=clock, counters=counters)

        yield make


@pytest.fixture
def entry(clock):
    """Return an entry of a value."""
    return lambda value: Entry(
        value, fresh_until=clock.now() + 60, stale_until=clock.now() + 60, created=clock.wall()
    )


def redis(url):
    """Return a manager that stops asking for no failure, and waits long for a busy machine."""
    return RedisManager(url, timeout=30.0, deadline=60.0, breaker=Breaker(1_000))


def values(tier):
    """Return what a tier has under the key."""
    return [found.value for found in tier.get_many(["k"]).values()]


class Held:
    """Takes the first reservation off the way to a server, and breaks the connection that it was sent on.

    Args:
        proxy: The way.
    """

    def __init__(self, proxy):
        self._proxy = proxy
        self.sent = b""
        proxy.requests.rewrite = self._hold

    def _hold(self, sent):
        if IS_RESERVATION not in sent or self.sent:
            return sent
        self.sent = sent
        self._proxy.drop()
        return b""

    def arrive(self):
        """Let it arrive, and return what the server says to its first command."""
        return say(self._proxy.target, self.sent)


def say(address, sent):
    """Send bytes to a Redis, and return the first line of its reply."""
    with socket.create_connection(address, timeout=60) as connection, connection.makefile("rb") as replies:
        connection.sendall(sent)
        return replies.readline()


@pytest.fixture
def proxy(redis_servers):
    """The way to a Redis."""
    server = redis_servers()
    with TcpProxy(("127.0.0.1", server.port)) as proxy:
        proxy.server = server
        yield proxy


@both_verbs
def test_a_redis_that_hears_of_a_reservation_late_refuses_what_was_dropped(proxy, new_tier, entry, verb):
    """The lease that was voided stays so: with what has arrived late, nobody fills."""
    tier = new_tier(RedisTier, redis(proxy.url_for(proxy.server.url)))
    other = new_tier(RedisTier, redis(proxy.server.url))
    values(tier)
    held = Held(proxy)
    leases = verb(tier)
    assert set(leases) == {"k"}
    other.drop_many(["k"])
    assert held.arrive() == b"+OK\r\n", "nobody else had a lease"
    assert tier.extend_many(leases) == set()
    assert tier.fill_many({"k": entry("old")}, leases) == set()
    assert values(other) == []


@both_verbs
def test_a_redis_whose_answer_was_lost_grants_the_lease_to_who_asks_again(proxy, new_tier, entry, verb):
    """Not to wait for oneself; what was granted unheard is given up, whichever token it has."""
    tier = new_tier(RedisTier, redis(proxy.url_for(proxy.server.url)))
    values(tier)
    held = Held(proxy)
    held_once = proxy.requests.rewrite

    def run_unheard(sent):
        is_first = not held.sent
        passed = held_once(sent)
        if is_first and held.sent:
            held.arrive()
        return passed

    proxy.requests.rewrite = run_unheard
    leases = verb(tier)
    assert held.sent
    assert tier.fill_many({"k": entry("new")}, leases) == {"k"}
    assert values(tier) == ["new"]
    assert set(tier.reserve_many(["k"])) == {"k"}, "none is left"


def test_a_cluster_that_hears_of_a_reservation_late_refuses_what_was_dropped(
    redis_cluster_url, new_tier, entry, monkeypatch
):
    """As a single server."""
    tier, other = (new_tier(RedisTier, redis(redis_cluster_url)) for _ in range(2))
    other.drop_many(["k"])
    values(tier)
    held = []
    sendall = DeadlineSocket.sendall

    def hold(self, sent):
        if IS_RESERVATION not in sent or held:
            return sendall(self, sent)
        held.append((self._sock.getpeername(), sent))
        raise ConnectionResetError

    monkeypatch.setattr(DeadlineSocket, "sendall", hold)
    leases = tier.reserve_many(["k"])
    assert set(leases) == {"k"}
    other.drop_many(["k"])
    assert say(*held[0]) == b"+OK\r\n", "nobody else had a lease"
    assert tier.fill_many({"k": entry("old")}, leases) == set()
    assert values(other) == []


def test_who_gets_no_answer_of_one_node_has_no_lease_there(redis_cluster_url, new_tier, entry, monkeypatch):
    """It loads at once, and what it has read is not stored where the node has granted the lease late."""
    tier, other = (new_tier(RedisTier, redis(redis_cluster_url)) for _ in range(2))
    keys = [str(number) for number in range(50)]
    tier.get_many(keys)
    held = []
    sendall = DeadlineSocket.sendall

    def hold(self, sent):
        if IS_RESERVATION not in sent or (held and held[0][0] != self._sock.getpeername()):
            return sendall(self, sent)
        held.append((self._sock.getpeername(), sent))
        raise ConnectionResetError

    monkeypatch.setattr(DeadlineSocket, "sendall", hold)
    leases = tier.reserve_many(keys)
    monkeypatch.undo()
    assert set(leases) == set(keys)
    other.drop_many(keys)
    for late in held:
        assert say(*late) == b"+OK\r\n"
    assert tier.fill_many({key: entry("old") for key in keys}, leases) == set()
    assert other.get_many(keys) == {}
    free = set()

    def is_settled():
        tier.reserve_many(["another"])
        free.update(other.reserve_many(keys))
        return free == set(keys)

    wait_until(is_settled, deadline=60, reason="what was granted late is given up")


class Lost:
    """Ends the connection of the first reservation in a PostgreSQL before it has run, or after that.

    Args:
        monkeypatch: Of the test.
        is_run: Whether it runs, and only its answer is lost.
    """

    def __init__(self, monkeypatch, *, is_run):
        self.sent = ()
        fetch = PostgresSession.fetch

        def lose(session, query, params=None):
            if self.sent or not params or "former" not in params:
                return fetch(session, query, params)
            self.sent = query, params
            if is_run:
                fetch(session, query, params)
            raise ConnectionLostError("server closed the connection", may_have_run=True)

        monkeypatch.setattr(PostgresSession, "fetch", lose)


def test_a_postgres_that_runs_a_reservation_late_refuses_what_was_dropped(
    postgres_url, new_tier, entry, monkeypatch
):
    """A backend notices late that its client has gone."""
    tier, other = (new_tier(PostgresTier, PostgresManager(postgres_url, timeout=60)) for _ in range(2))
    tier.install()
    lost = Lost(monkeypatch, is_run=False)
    leases = tier.reserve_many(["k"])
    assert set(leases) == {"k"}
    other.drop_many(["k"])
    with contextlib.closing(PostgresManager(postgres_url, timeout=60)) as backend:
        assert backend.fetch(*lost.sent) == [("k",)], "nobody else had a lease"
    assert tier.extend_many(leases) == set()
    assert tier.fill_many({"k": entry("old")}, leases) == set()
    assert values(other) == []


def test_a_postgres_whose_answer_was_lost_grants_the_lease_to_who_asks_again(
    postgres_url, new_tier, entry, monkeypatch
):
    """And what runs late then takes it from nobody."""
    tier, other = (new_tier(PostgresTier, PostgresManager(postgres_url, timeout=60)) for _ in range(2))
    tier.install()
    lost = Lost(monkeypatch, is_run=True)
    leases = tier.reserve_many(["k"])
    assert set(leases) == {"k"}
    assert other._manager.fetch(*lost.sent) == []
    assert other.reserve_many(["k"]) == {}
    assert tier.fill_many({"k": entry("new")}, leases) == {"k"}
    assert values(other) == ["new"]
