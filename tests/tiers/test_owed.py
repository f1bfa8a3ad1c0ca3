"""Leases that could not be given up while their server was away: they do not delay others when it is back."""

import pytest

from greencache.backends.breaker import Breaker
from greencache.backends.redis import RedisManager
from greencache.backends.retry import RetryPolicy, TransientError
from greencache.codecs import Codec
from greencache.entry import Entry
from greencache.errors import ServerReplyError, TierUnavailableError
from greencache.events import NullRecorder
from greencache.stats import TierCounters
from greencache.testing import FakeClock, wait_until
from greencache.testing.proxy import TcpProxy
from greencache.tiers.border import Border
from greencache.tiers.owed import OwedLeases, Owing
from greencache.tiers.redis import RedisTier
from greencache.typing import CacheTier

pytestmark = pytest.mark.timeout(120)

LEASE_TTL = 600.0
"""Seconds, beyond those of any test: what ends before is given up."""


@pytest.fixture
def clock():
    """The clock of all entries and leases of a test; the way to the server has one of its own."""
    return FakeClock()


@pytest.fixture
def proxy(redis_servers):
    """The way to a server."""
    server = redis_servers()
    with TcpProxy(("127.0.0.1", server.port)) as proxy:
        proxy.server = server
        yield proxy


@pytest.fixture
def new_tier(clock):
    """Make tiers as of processes of their own."""
    managers = []

    def make(url, **options):
        managers.append(RedisManager(url, retry=RetryPolicy(retries=0), breaker=Breaker(1_000), **options))
        counters = TierCounters()
        border = Border(
            CacheTier.L3,
            Codec(clock=clock),
            namespace="n",
            max_size=1_000,
            counters=counters,
            recorder=NullRecorder(),
        )
        return RedisTier(
            CacheTier.L3,
            managers[-1],
            border,
            namespace="n",
            ttl=60.0,
            lease_ttl=LEASE_TTL,
            clock=clock,
            counters=counters,
        )

    yield make
    for manager in managers:
        manager.close()


@pytest.fixture
def tier(proxy, new_tier):
    """A tier that has been answered, over the proxy."""
    tier = new_tier(proxy.url_for(proxy.server.url), timeout=0.5, deadline=0.5)
    wait_until(lambda: _answers(tier), deadline=60, reason="the server answers within the time-out")
    return tier


def _answers(tier):
    try:
        return tier.get_many(["nothing"]) == {}
    except TierUnavailableError:
        return False


def _fill(tier, leases, clock):
    now = clock.now()
    tier.fill_many({"k": Entry("v", fresh_until=now + 60, stale_until=now + 60)}, leases)


CUT_SHORT = {
    "fill": _fill,
    "release": lambda tier, leases, clock: tier.release_many(leases),
    "reserve": lambda tier, leases, clock: tier.reserve_many(["k"]),
    "reserve and get": lambda tier, leases, clock: tier.reserve_and_get(["k"]),
}


@pytest.mark.parametrize("what", CUT_SHORT)
def test_a_lease_is_given_up_once_the_server_answers(proxy, tier, new_tier, clock, what):
    """Whatever of it got no answer: nobody waits for its end."""
    leases = {}
    if what.startswith("reserve"):
        proxy.replies.stalled = True  # the server grants it, and nobody hears of that
    else:
        wait_until(
            lambda: leases.update(_reserved(tier)) or leases, deadline=60, reason="the lease is granted"
        )
        proxy.black_hole = True
    with pytest.raises(TierUnavailableError):
        CUT_SHORT[what](tier, leases, clock)
    other = new_tier(proxy.server.url)
    if what.startswith("reserve"):
        wait_until(lambda: other.reserve_many(["k"]) == {}, deadline=60, reason="the lease is granted")
    assert other.reserve_many(["k"]) == {}
    proxy.heal()
    proxy.drop()
    wait_until(lambda: _answers(tier), deadline=60, reason="the server answers again")
    wait_until(lambda: _settles(tier, other), deadline=60, reason="the lease was given up")


def _reserved(tier):
    try:
        return tier.reserve_many(["k"])
    except TierUnavailableError:
        return {}


def _settles(tier, other):
    _answers(tier)
    try:
        tier.reserve_many(["another"])
    except TierUnavailableError:
        return False
    return other.reserve_many(["k"]).keys() == {"k"}


def test_a_lease_that_a_tier_is_to_owe_is_given_up_when_it_is_asked_next(proxy, new_tier):
    """And not before: the server may be away."""
    tier, other = new_tier(proxy.server.url), new_tier(proxy.server.url)
    assert isinstance(tier, Owing)
    tier.owe(tier.reserve_many(["k"]))
    assert other.reserve_many(["k"]) == {}
    wait_until(lambda: _settles(tier, other), deadline=60, reason="the lease was given up")


def test_what_a_server_refuses_to_run_is_not_owed(clock):
    """It would refuse that again."""
    owed = OwedLeases(clock, 5.0)
    with pytest.raises(ServerReplyError), owed.unless_answered({"k": "1"}):
        raise ServerReplyError("no")
    assert not owed


def test_a_lease_is_owed_when_its_holder_is_ended(clock):
    """By a kill, a time-out of gevent or a signal handler."""
    owed = OwedLeases(clock, 5.0)
    with pytest.raises(KeyboardInterrupt), owed.unless_answered({"k": "1"}):
        raise KeyboardInterrupt
    assert owed.take(lambda _: True) == {"k": "1"}
    assert not owed


def test_only_those_are_taken_whose_server_answers(clock):
    """The others stay, until they have ended by themselves."""
    owed = OwedLeases(clock, 5.0)
    owed.add({"a": "1", "b": "2"})
    owed.add({"a": "3"})
    assert owed.take(lambda key: key == "a") == {"a": "1"}
    assert owed.take(lambda key: key == "a") == {"a": "3"}, "of one key one after the other"
    clock.advance(5.0)
    assert owed.take(lambda _: True) == {}
    assert not owed


def test_they_are_bounded(clock):
    """In number, and in how many one caller gives up."""
    owed = OwedLeases(clock, 5.0)
    for number in range(11_000):
        owed.add({str(number): str(number)})
    taken = owed.take(lambda _: True)
    assert len(taken) == 100
    while more := owed.take(lambda _: True):
        taken |= more
    assert len(taken) == 10_000


@pytest.mark.parametrize(
    ("error", "is_owed"),
    [
        (TransientError("no answer", may_have_run=True), True),
        (TransientError("refused", may_have_run=False), False),
        (TierUnavailableError("left alone by its breaker"), False),
        (KeyboardInterrupt(), True),
    ],
)
def test_what_was_asked_for_is_owed_only_if_it_may_have_been_granted(error, is_owed):
    """While a server is known to be away, nothing is sent, and nothing piles up."""
    owed = OwedLeases(FakeClock(), 5.0)
    with pytest.raises(type(error)), owed.if_asked_for({"a": "1"}):
        raise error
    assert bool(owed) is is_owed


def test_of_many_that_are_owed_few_are_looked_at():
    """By whoever is about to read, while their server is away."""
    owed = OwedLeases(FakeClock(), 5.0)
    owed.add({f"k{number}": str(number) for number in range(5_000)})
    asked = []
    assert owed.take(asked.append) == {}
    assert len(asked) <= 200
