"""A tier on a Cluster of which one node is away: what can be reached is, what cannot is named."""

import pytest

from greencache.backends.redis import RedisManager
from greencache.backends.redis_names import RedisNames
from greencache.backends.retry import RetryPolicy
from greencache.clock import SystemClock
from greencache.codecs import Codec
from greencache.entry import Entry
from greencache.errors import TierUnavailableError
from greencache.events import NullRecorder
from greencache.keys import Pattern
from greencache.stats import TierCounters
from greencache.testing import wait_until
from greencache.tiers.border import Border
from greencache.tiers.partial import PartialOutageError
from greencache.tiers.redis import RedisTier
from greencache.typing import CacheTier

pytestmark = pytest.mark.timeout(120)

KEYS = [f"key{number}" for number in range(60)]
CLOCK = SystemClock()


@pytest.fixture
def servers(redis_cluster, redis_cluster_url):
    """Three primaries and three replicas, all up."""
    assert redis_cluster_url == redis_cluster.url
    return redis_cluster


@pytest.fixture
def new_tier(servers):
    """Make tiers as of processes of their own."""
    managers = []

    def make():
        # A node that was killed refuses at once, so those that are there may take as long as they need.
        managers.append(RedisManager(servers.url, retry=RetryPolicy(retries=0)))
        counters = TierCounters()
        codec = Codec(clock=CLOCK)
        border = Border(
            CacheTier.L3, codec, namespace="n", max_size=1_000, counters=counters, recorder=NullRecorder()
        )
        return RedisTier(
            CacheTier.L3,
            managers[-1],
            border,
            namespace="n",
            ttl=600.0,
            lease_ttl=600.0,
            clock=CLOCK,
            counters=counters,
        )

    yield make
    for manager in managers:
        manager.close()


@pytest.fixture
def tier(new_tier):
    """A tier with an entry under each key."""
    tier = new_tier()
    tier.put_many({key: entry(key) for key in KEYS})
    return tier


def entry(value):
    """Return an entry that outlives any test."""
    now = CLOCK.now()
    return Entry(value, fresh_until=now + 600, stale_until=now + 600)


def lose(servers, gone):
    """Let a node be away, and nobody take its place."""
    for replica in servers.replicas_of(gone):
        replica.pause()
    gone.kill()


@pytest.fixture
def parted(servers, tier):
    """The keys on a node that is away, and all others."""
    names = RedisNames("n")
    gone = servers.primaries[0]
    owners = {key: servers.slot_owner(names.value(key)) for key in KEYS}
    lose(servers, gone)
    lost = {key for key in KEYS if owners[key] is gone}
    assert 0 < len(lost) < len(KEYS)
    return lost, set(KEYS) - lost


def test_a_read_finds_what_is_there(tier, parted):
    """The rest is absent, and that an error came is counted."""
    _, there = parted
    assert set(tier.get_many(KEYS)) == there
    assert tier.counters.errors == 1


def test_a_read_of_what_is_away_only_is_an_outage(tier, parted):
    """As of any tier."""
    lost, _ = parted
    with pytest.raises(TierUnavailableError) as caught:
        tier.get_many(lost)
    assert not isinstance(caught.value, PartialOutageError)


def test_drops_reach_what_is_there_and_name_the_rest(tier, parted):
    """Only these wait."""
    lost, there = parted
    with pytest.raises(PartialOutageError) as caught:
        tier.drop_many(KEYS)
    assert set(caught.value.keys) == lost
    assert not caught.value.is_outage
    assert tier.get_many(there) == {}


def test_puts_reach_what_is_there_and_name_the_rest(tier, parted):
    """Which then has to be dropped."""
    lost, there = parted
    with pytest.raises(PartialOutageError) as caught:
        tier.put_many({key: entry("new") for key in KEYS})
    assert set(caught.value.keys) == lost
    assert {found.value for found in tier.get_many(there).values()} == {"new"}


def test_leases_on_what_is_away_are_good_nowhere(tier, parted):
    """Who has them loads without waiting, and stores where that can be."""
    _, there = parted
    leases = tier.reserve_many(KEYS)
    assert set(leases) == set(KEYS)
    assert tier.extend_many(leases) == there
    assert tier.fill_many({key: entry("new") for key in KEYS}, leases) == there
    assert tier.reserve_many(there).keys() == there
    tier.release_many(leases)


def test_a_pattern_and_the_whole_are_outages(tier, parted):
    """Nobody can say what they would have found."""
    with pytest.raises(TierUnavailableError) as caught:
        tier.drop_matching(Pattern("key*"))
    assert not isinstance(caught.value, PartialOutageError)
    with pytest.raises(TierUnavailableError):
        tier.usage()


@pytest.mark.parametrize("how", ["fill", "release"])
def test_leases_of_a_node_that_was_away_are_given_up_when_it_is_back(servers, tier, parted, how):
    """By a script, which nobody else has called there."""
    lost, _ = parted
    leases = tier.reserve_many(KEYS)
    if how == "fill":
        tier.fill_many({key: entry("new") for key in KEYS}, leases)
    else:
        tier.release_many(leases)
    servers.heal()
    home = servers.slot_owner(RedisNames("n").value(min(lost)))

    def is_asked():
        try:
            tier.get_many(lost)  # which learns that the node is back
            tier.reserve_many(["another"])
        except TierUnavailableError:
            return False
        return "cmdstat_evalsha" in home.execute("INFO", "commandstats")

    wait_until(is_asked, deadline=60, reason="the node is told of the leases")
