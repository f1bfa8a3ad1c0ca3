"""A node of a Cluster is away and nobody takes its place: all other keys are served as ever."""

import time

import pytest

from greencache import MISSING, CacheManager, InvalidationPending
from greencache.backends.redis_names import RedisNames
from greencache.testing import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

KEYS = [f"key{number}" for number in range(60)]
NAMES = RedisNames("parts")
CONFIG = """
namespace: parts
l1:
  enabled: false
l3:
  url: {url}
  timeout: 1.0
  deadline: 2.0
"""


@pytest.fixture
def servers(redis_clusters):
    """A Cluster of which a node can be lost, since there is no replica."""
    return redis_clusters(replicas=0)


class States:
    """A recorder of how the tier is."""

    def __init__(self):
        self.kinds = []

    def record(self, event):
        """Note an event that is about the tier as a whole."""
        if event.kind.startswith("tier_"):
            self.kinds.append(event.kind.value)


@pytest.fixture
def states():
    """What the cache has said of its tier."""
    return States()


@pytest.fixture
def cache(servers, tmp_path, states):
    """A cache with a value under each key."""
    config = tmp_path / "greencache.yaml"
    config.write_text(CONFIG.format(url=servers.url))
    with CacheManager.from_config(config, recorder=states).initialize(strict=True) as cache:
        cache.mdelete(KEYS)  # every node knows the scripts: to load one takes a second round
        cache.mset(dict.fromkeys(KEYS, "old"))
        yield cache


@pytest.fixture
def parted(servers, cache):
    """A node that hangs, not that of the stamps and the bus; the keys on it, and all others."""
    keeper = servers.slot_owner(NAMES.bus)
    gone = next(each for each in servers.primaries if each is not keeper)
    owners = {key: servers.slot_owner(NAMES.value(key)) for key in KEYS}
    gone.pause()
    lost = [key for key in KEYS if owners[key] is gone]
    return gone, lost, [key for key in KEYS if key not in lost]


def read_all(cache):
    """Read each key by itself, and return how many have the value that is there."""
    return sum(cache.get(key) == "old" for key in KEYS)


def test_a_tier_of_which_a_part_is_away_is_degraded_and_says_so_once(cache, states, parted, figure):
    """Not down, and up again with each key that is found."""
    gone, _, there = parted
    assert [read_all(cache) for _ in range(3)] == [len(there)] * 3
    figure("50", "changes of state that are told, a node away", len(states.kinds), "", "== 1")
    assert states.kinds == ["tier_degraded"]
    gone.resume()
    wait_until(lambda: read_all(cache) == len(KEYS), deadline=60, reason="all keys are found")
    assert states.kinds == ["tier_degraded", "tier_up"]


def test_a_tier_without_its_stamps_is_down_and_says_so_once(cache, states, servers):
    """Nothing of it can be proved, though most of its keys could be read."""
    keeper = servers.slot_owner(NAMES.bus)
    there = [key for key in KEYS if servers.slot_owner(NAMES.value(key)) is not keeper]
    keeper.pause()

    def is_down():
        assert [cache.get_or_load(key, lambda: "loaded") for key in there[:10]]
        return states.kinds

    wait_until(is_down, deadline=60, reason="the stamps that are known are believed no more")
    for _ in range(3):
        is_down()
    assert states.kinds == ["tier_down"]
    keeper.resume()
    wait_until(lambda: read_all(cache) and len(states.kinds) > 1, deadline=60, reason="it is up again")
    assert states.kinds == ["tier_down", "tier_up"]


def never():
    """Load what need not be loaded."""
    raise AssertionError("it is there")


def test_what_is_there_is_found(cache, parted, figure):
    """One by one, and all at once."""
    _, _, there = parted
    found = cache.mget(KEYS)
    figure("50", "keys found of those on other nodes", 100.0 * len(found) / len(there), "%", ">= 100")
    assert [cache.get_or_load(key, never) for key in there] == ["old"] * len(there)
    assert cache.health_check()["L3"].status == "degraded"


def test_a_drop_that_waits_for_its_node_holds_up_no_other_key(cache, parted, figure):
    """Neither reads nor loads nor drops; and what it is about is never read again."""
    gone, lost, there = parted
    for key in lost[:5]:
        with pytest.raises(InvalidationPending):
            cache.invalidate(key)
    start = time.monotonic()
    assert [cache.get_or_load(key, never) for key in there] == ["old"] * len(there)
    figure("50", "reads of others while drops wait", (time.monotonic() - start) / len(there), "s", "<= 0.2")
    cache.invalidate(there[0])
    assert cache.get(there[0], MISSING) is MISSING
    assert cache.get_or_load(there[0], lambda: "new") == "new"
    assert cache.get_or_load(there[0], never) == "new"
    assert [cache.get_or_load(key, lambda: "new") for key in lost] == ["new"] * len(lost)
    gone.resume()
    seen = []

    def is_replayed():
        seen.extend(cache.get(key, MISSING) for key in lost[:5])
        return not cache.health_check()["L3"].waiting

    wait_until(is_replayed, deadline=60, reason="the node is told what it has missed")
    seen += [cache.get(key, MISSING) for key in lost[:5]]
    figure("50", "dropped values read again", seen.count("old"), "reads", "== 0", reads=len(seen))
    assert cache.get_or_load(lost[0], lambda: "newer") in ("new", "newer")


def test_of_many_drops_and_writes_only_those_of_the_node_wait(cache, parted):
    """The others are made, and the error says which are not."""
    _, lost, there = parted
    with pytest.raises(InvalidationPending) as caught:
        cache.mdelete(KEYS)
    assert set(caught.value.pending["L3"]) == {f"key:{key}" for key in lost}
    assert cache.mget(KEYS) == {}
    cache.set(there[0], "new")
    assert cache.get(there[0]) == "new"


def test_a_pattern_that_waits_hides_what_it_matches_and_no_more(cache, parted):
    """Since nobody knows which keys of the node it would have found."""
    gone, _, there = parted
    with pytest.raises(InvalidationPending):
        cache.invalidate(pattern=f"{there[0]}*")
    assert cache.get(there[0], MISSING) is MISSING
    others = [key for key in there if not key.startswith(there[0])]
    assert [cache.get_or_load(key, never) for key in others] == ["old"] * len(others)
    gone.resume()
    wait_until(lambda: not cache.health_check()["L3"].waiting, deadline=60, reason="it is replayed")
    assert cache.get(there[0], MISSING) is MISSING
