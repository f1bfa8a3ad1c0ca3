"""A Redis tier on a Cluster that moves a key: value, lease and waiters are on one node or on the other."""

import contextlib
import itertools

import pytest

from greencache.backends.redis import RedisManager
from greencache.backends.redis_names import RedisNames
from greencache.backends.retry import TransientError
from greencache.codecs import Codec
from greencache.entry import Entry
from greencache.events import NullRecorder
from greencache.keys import Pattern
from greencache.stats import TierCounters
from greencache.testing import FakeClock
from greencache.testing.servers import LOCAL, RedisClusterServers
from greencache.tiers.border import Border
from greencache.tiers.redis import RedisTier
from greencache.typing import CacheTier

pytestmark = pytest.mark.timeout(120)

KEY = "1"
NAMES = RedisNames("steps")
PARTS = {"value": NAMES.value(KEY), "lease": NAMES.lease(KEY), "waiters": NAMES.waiters(KEY)}
PLACES = [moved for count in range(4) for moved in itertools.combinations(PARTS, count)]
"""Which parts of a key have been moved."""

everywhere = pytest.mark.parametrize("moved", PLACES, ids=lambda moved: "+".join(moved) or "nothing")


class Moving:
    """A tier, and a key of which some parts have been moved to another node.

    Args:
        servers: The Cluster.
        tier: The tier.
        manager: What the tier uses.
    """

    def __init__(self, servers, tier, manager):
        self.tier, self.manager = tier, manager
        name = PARTS["value"]
        source = servers.slot_owner(name)
        target = next(each for each in servers.primaries if each is not source)
        self._source, self._target = source, target
        self._migration = servers.migration(servers.slot_of(name), target)

    def begin(self, *moved):
        """Open the slot, and move some parts of the key."""
        self._migration.begin()
        for part in moved:
            self._source.execute("MIGRATE", *self._target.address, PARTS[part], 0, 5_000)

    def finish(self):
        """Move the rest."""
        self._migration.move_keys()
        self._migration.finish()

    def has(self, part):
        """Return whether a part is there, wherever that is."""
        return self.manager.execute("EXISTS", PARTS[part]) == 1


@pytest.fixture
def clock():
    """The clock of the entries."""
    return FakeClock()


@pytest.fixture(scope="module")
def servers():
    """A Cluster without replicas: so all of it hears at once who owns a slot."""
    with RedisClusterServers(sources=LOCAL, replicas=0) as servers:
        yield servers


@pytest.fixture
def moving(servers, clock):
    """The Cluster, whole and empty, and a tier on it."""
    for node in servers.nodes:
        node.execute("FLUSHALL")
    counters = TierCounters()
    border = Border(
        CacheTier.L3,
        Codec(clock=clock),
        namespace="steps",
        max_size=100_000,
        counters=counters,
        recorder=NullRecorder(),
    )
    with contextlib.closing(RedisManager(servers.url)) as manager:
        tier = RedisTier(
            CacheTier.L3, manager, border, namespace="steps", ttl=60.0, clock=clock, counters=counters
        )
        moving = Moving(servers, tier, manager)
        yield moving
        moving.finish()


@pytest.fixture
def entry(clock):
    """Make entries."""
    return lambda value: Entry(
        value, clock.now() + 60.0, clock.now() + 120.0, created=clock.wall(), stamps=(("", "s"),)
    )


def values(tier):
    """Return what the tier has under the key."""
    return [each.value for each in tier.get_many([KEY]).values()]


@everywhere
def test_who_cannot_fill_gives_its_lease_up(moving, entry, moved):
    """A new value is at the new node, and the lease may still be at the old one."""
    tier, told = moving.tier, []
    tier.on_landed = told.extend
    leases = tier.reserve_many([KEY])
    tier.note_waiting([KEY])
    moving.begin(*moved)
    assert tier.fill_many({KEY: entry("new")}, leases) == ({KEY} if "lease" in moved else set())
    assert values(tier) == (["new"] if "lease" in moved else [])
    assert not moving.has("lease")
    assert told == [KEY]
    moving.finish()
    assert values(tier) == (["new"] if "lease" in moved else [])
    assert tier.reserve_many([KEY])


@everywhere
def test_an_entry_is_replaced_where_its_lease_is_with_it(moving, entry, moved):
    """And is never on both nodes: the slot could not be moved then."""
    tier = moving.tier
    tier.put_many({KEY: entry("old")})
    leases = tier.reserve_many([KEY])
    tier.note_waiting([KEY])
    moving.begin(*moved)
    is_together = ("lease" in moved) == ("value" in moved)
    assert tier.fill_many({KEY: entry("new")}, leases) == ({KEY} if is_together else set())
    assert values(tier) == (["new"] if is_together else ["old"])
    moving.finish()
    assert values(tier) == (["new"] if is_together else ["old"])
    assert not moving.has("lease")


@everywhere
def test_a_drop_voids_the_lease(moving, entry, moved):
    """What was loaded before it is not stored, and the next load is."""
    tier = moving.tier
    tier.put_many({KEY: entry("old")})
    leases = tier.reserve_many([KEY])
    moving.begin(*moved)
    assert tier.drop_many([KEY]) == 1
    assert values(tier) == []
    assert tier.fill_many({KEY: entry("old")}, leases) == set()
    assert tier.drop_many([KEY]) == 0
    moving.finish()
    assert tier.fill_many({KEY: entry("old")}, leases) == set()
    assert tier.fill_many({KEY: entry("new")}, tier.reserve_many([KEY])) == {KEY}


@pytest.mark.parametrize("moved", [("value",), ("lease",)])
def test_a_pattern_finds_what_is_being_moved(moving, entry, moved):
    """On either node."""
    tier = moving.tier
    tier.put_many({KEY: entry("old")})
    leases = tier.reserve_many([KEY])
    moving.begin(*moved)
    assert tier.drop_matching(Pattern("*")) == 1
    assert tier.fill_many({KEY: entry("old")}, leases) == set()
    assert values(tier) == []


@everywhere
def test_a_put_voids_the_lease(moving, entry, moved):
    """And replaces what is there, on whichever node."""
    tier = moving.tier
    tier.put_many({KEY: entry("old")})
    leases = tier.reserve_many([KEY])
    moving.begin(*moved)
    assert tier.put_many({KEY: entry("new")}) == {KEY}
    assert tier.fill_many({KEY: entry("old")}, leases) == set()
    moving.finish()
    assert values(tier) == ["new"]


@pytest.mark.parametrize("moved", [(), ("lease",), ("waiters",), ("lease", "waiters")])
def test_who_waits_is_told_of_a_lease_that_is_given_up(moving, moved):
    """And finds the key free."""
    tier, told = moving.tier, []
    tier.on_landed = told.extend
    leases = tier.reserve_many([KEY])
    tier.note_waiting([KEY])
    moving.begin(*moved)
    tier.release_many({KEY: "somebody else's"})
    assert not told
    tier.release_many(leases)
    assert told == [KEY]
    assert tier.reserve_many([KEY])


def test_nobody_fills_between_the_steps_of_a_drop(moving, entry, monkeypatch):
    """Neither who has had a lease before, nor who has seen the value that is to go and would get one now."""
    tier, execute = moving.tier, moving.manager.execute
    tier.put_many({KEY: entry("old")})
    leases = tier.reserve_many([KEY])
    moving.begin("lease")
    seen = []

    def step(*command, **options):
        if command[0] == b"UNLINK":
            for _ in range(2):
                seen.append(tier.fill_many({KEY: entry("old")}, leases))
                seen.append(tier.reserve_many([KEY]))
                reply = execute(*command, **options)
                moving.begin("value")
            return reply
        return execute(*command, **options)

    monkeypatch.setattr(moving.manager, "execute", step)
    tier.drop_many([KEY])
    assert seen == [set(), {}] * 2
    assert values(tier) == []


def test_a_drop_whose_claim_was_lost_is_made_again(moving, entry, monkeypatch):
    """Somebody has stored meanwhile what it was to remove; a put does not overwrite that, but says so."""
    tier, execute = moving.tier, moving.manager.execute
    tier.put_many({KEY: entry("old")})
    moving.begin("value")
    lost = []

    def step(*command, **options):
        reply = execute(*command, **options)
        if len(lost) < 2 and command[:2] in ((b"UNLINK", PARTS["value"]), (b"SET", PARTS["value"])):
            lost.append(command[0])
            execute(b"DEL", PARTS["lease"])  # as if it had ended
            execute(b"SET", PARTS["value"], "stored by somebody")
        return reply

    monkeypatch.setattr(moving.manager, "execute", step)
    assert tier.drop_many([KEY]) == 1
    assert lost == [b"UNLINK", b"UNLINK"]
    assert not moving.has("value")
    lost.clear()
    with pytest.raises(TransientError, match="others have written"):
        tier.put_many({KEY: entry("new")})


def test_a_claim_that_arrives_late_does_not_hide_that_another_came_between(moving, entry, monkeypatch):
    """It was sent, lost and sent again; who has voided it meanwhile may have stored what is older."""
    tier, execute = moving.tier, moving.manager.execute
    tier.put_many({KEY: entry("old")})
    moving.begin("value")
    late = []

    def step(*command, **options):
        if command[:2] == (b"SET", PARTS["lease"]) and not late:
            late.append(command)
            if not options.get("repeatable", True):
                raise TransientError("the connection was lost", may_have_run=True)
        reply = execute(*command, **options)
        if command[:2] == (b"SET", PARTS["value"]):
            execute(b"DEL", PARTS["lease"])  # as a drop does
            execute(*late[0])
        return reply

    monkeypatch.setattr(moving.manager, "execute", step)
    with pytest.raises(TransientError, match="others have written"):
        tier.put_many({KEY: entry("new")})


def test_stamps_are_read_while_they_are_moved(servers, moving):
    """Of the namespace and of a tag, one on each node; and one that is missing is created."""
    tier = moving.tier
    first = tier.read_stamps(["", "tag"])
    name = NAMES.stamp("tag")
    source = servers.slot_owner(name)
    target = next(each for each in servers.primaries if each is not source)
    migration = servers.migration(servers.slot_of(name), target)
    migration.begin()
    source.execute("MIGRATE", *target.address, name, 0, 5_000)
    try:
        assert tier.read_stamps(["", "tag"]) == first
        more = tier.read_stamps(["", "tag", "new"])
        assert more == first | {"new": more["new"]}
        tier.replace_stamps({"tag": "another"})
        assert tier.find_stamps(["", "tag", "none"]) == {"": first[""], "tag": "another"}
    finally:
        migration.move_keys()
        migration.finish()
    assert tier.read_stamps(["tag", "new"]) == {"tag": "another", "new": more["new"]}
