"""A scan of a Cluster whose slots go from node to node meanwhile: complete, or it says that it is not."""

import pytest

from greencache.backends import redis_cluster_scan
from greencache.backends.retry import TransientError
from greencache.errors import TierUnavailableError
from greencache.testing import wait_until

pytestmark = pytest.mark.timeout(120)

KEYS = [f"{{slot{number % 4}}}{number}" for number in range(80)]


@pytest.fixture
def servers(redis_cluster, redis_cluster_url):
    """The Cluster, empty and whole."""
    assert redis_cluster_url == redis_cluster.url
    return redis_cluster


@pytest.fixture
def manager(new_manager, servers):
    """A manager with keys in four slots."""
    manager = new_manager(servers.url, timeout=1, deadline=5)
    manager.execute_many([("SET", key, key) for key in KEYS])
    return manager


@pytest.fixture
def after_first(monkeypatch):
    """Do something when the first node has been looked through."""

    def arrange(disturb):
        scan_node, seen = redis_cluster_scan.scan_node, []

        def scan(node, *arguments):
            seen.append(node)
            if len(seen) == 2:
                disturb(seen[0].address)
            return scan_node(node, *arguments)

        monkeypatch.setattr(redis_cluster_scan, "scan_node", scan)

    return arrange


def found_by(manager, glob="{slot*"):
    """Return the keys that a scan finds."""
    return {name.decode() for names in manager.scan(glob) for name in names}


def migrations_to(servers, address):
    """Return the moves of all slots with keys to a node that has not got them."""
    target = next(each for each in servers.primaries if each.address == (address.host, address.port))
    keys = {key for key in KEYS if servers.slot_owner(key) is not target}
    return [servers.migration(slot, target) for slot in {servers.slot_of(key) for key in keys}]


def move(migrations, limit=None, *, is_finished=True):
    """Move some keys of each slot."""
    for migration in migrations:
        migration.begin()
        migration.move_keys(limit)
    if is_finished:
        finish(migrations)


def finish(migrations):
    """Let the slots have one owner again."""
    for migration in migrations:
        migration.move_keys()
        migration.finish()


@pytest.mark.parametrize("limit", [None, 10], ids=["all keys", "some keys"])
def test_keys_are_found_that_go_where_the_scan_has_been(manager, servers, after_first, limit):
    """Though the slots are open still, and for ever."""
    begun = []

    def disturb(address):
        begun.extend(migrations_to(servers, address))
        move(begun, limit, is_finished=False)

    after_first(disturb)
    assert found_by(manager) == set(KEYS)
    assert begun
    assert found_by(manager) == set(KEYS)
    assert found_by(manager, "{slot[13]}*") == {key for key in KEYS if key[5] in "13"}
    finish(begun)


def test_keys_are_found_whose_slots_have_moved(manager, servers, after_first):
    """Completely, before the scan was over."""
    after_first(lambda address: move(migrations_to(servers, address)))
    assert found_by(manager) == set(KEYS)


def test_keys_are_found_whose_slots_arrive_while_they_are_looked_for(manager, servers, after_first):
    """They were on their way when the scan began."""
    first = migrations_to(servers, manager._servers.map.nodes()[-1].address)
    move(first, 10, is_finished=False)
    after_first(lambda _: finish(first))
    assert found_by(manager) == set(KEYS)


def test_keys_of_a_node_that_was_succeeded_are_found_or_missed_aloud(manager, servers, after_first):
    """Its replica has them."""
    assert manager.await_replica("mark", 5.0)
    last = servers.primaries[-1]
    after_first(lambda _: servers.failover(last))

    def is_complete():
        try:
            return found_by(manager) == set(KEYS)
        except TierUnavailableError:
            return None

    assert is_complete() is not False
    wait_until(is_complete, deadline=20, reason="it is complete again")


def test_a_scan_that_cannot_reach_a_node_says_so(manager, servers, after_first):
    """Killed in between, with its replica."""

    def disturb(address):
        last = next(each for each in servers.primaries if each.address != (address.host, address.port))
        for node in [*servers.replicas_of(last), last]:
            node.kill()

    after_first(disturb)
    with pytest.raises(TierUnavailableError):
        found_by(manager)


def test_slots_that_never_stay_where_they_are_make_a_scan_incomplete(manager, monkeypatch):
    """It says so instead of going on for ever."""
    numbers = iter(range(1_000))
    view = redis_cluster_scan._View
    everything = frozenset(range(16_384))

    def survey(self, places):
        return {place: view(everything, frozenset(), frozenset([next(numbers)])) for place in places}

    monkeypatch.setattr(redis_cluster_scan.ClusterScan, "_survey", survey)
    with pytest.raises(TransientError, match="faster than looked at"):
        found_by(manager)
