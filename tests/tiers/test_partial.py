"""A tier on a Cluster of which one node is away: what can be reached is, what cannot is named."""

import pytest

from greencache.backends.redis import RedisManager
from greencache.backends.redis_names import RedisNames
from greencache.clock import SystemClock
from greencache.codecs import Codec
from greencache.entry import Entry
from greencache.errors import TierUnavailableError
from greencache.events import NullRecorder
from greencache.keys import Pattern
from greencache.stats import TierCounters
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
def tier(servers):
    """A tier of short patience with an entry under each key."""
    counters = TierCounters()
    codec = Codec(clock=CLOCK)
    border = Border(
        CacheTier.L3, codec, namespace="n", max_size=1_000, counters=counters, recorder=NullRecorder()
    )
    with RedisManager(servers.url, timeout=0.2, deadline=0.3) as manager:
        tier = RedisTier(
            CacheTier.L3, manager, border, namespace="n", ttl=60.0, clock=CLOCK, counters=counters
        )
        tier.put_many({key: entry(key) for key in KEYS})
        yield tier


def entry(value):
    """Return an entry that lives for a minute."""
    now = CLOCK.now()
    return Entry(value, fresh_until=now + 60, stale_until=now + 60)


@pytest.fixture
def parted(servers, tier):
    """The keys on a node that is away, and all others."""
    names = RedisNames("n")
    gone = servers.primaries[0]
    owners = {key: servers.slot_owner(names.value(key)) for key in KEYS}
    for replica in servers.replicas_of(gone):
        replica.pause()
    gone.pause()
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
