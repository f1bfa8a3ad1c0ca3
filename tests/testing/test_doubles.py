"""The doubles of servers keep the promises of the tiers they stand for."""

import pytest

from greencache.errors import TierUnavailableError
from greencache.keys import Pattern
from greencache.testing import DoubleRedisTier, FakeClock, RedisDouble, TierSuite


class TestDoubleRedisTier(TierSuite):
    """What is checked with the double holds for the tier that it stands for."""

    @pytest.fixture
    def server(self):
        """A server in memory."""
        return RedisDouble()

    @pytest.fixture
    def tier(self, server, clock):
        """A tier of its own namespace."""
        return DoubleRedisTier(server, namespace="one", clock=clock)

    @pytest.fixture
    def neighbour(self, server, clock):
        """A tier of another namespace on the same server."""
        return DoubleRedisTier(server, namespace="two", clock=clock)


def test_a_lease_ends_by_itself():
    """A dead holder blocks nobody for longer than the lease."""
    clock = FakeClock()
    tier = DoubleRedisTier(clock=clock, lease_ttl=10.0)
    first = tier.reserve_many(["k"])
    clock.advance(9.0)
    assert tier.extend_many(first) == {"k"}
    clock.advance(9.0)
    assert tier.reserve_many(["k"]) == {}
    clock.advance(1.0)
    assert tier.extend_many(first) == set()
    assert tier.reserve_many(["k"]).keys() == {"k"}


def test_a_server_that_is_down_raises_the_error_of_an_outage():
    """From every call that would reach it; a check raises nothing."""
    tier = DoubleRedisTier(RedisDouble(is_down=True))
    with pytest.raises(TierUnavailableError, match="is down"):
        tier.get_many(["k"])
    assert not tier.check().latency_ms


def test_a_drop_of_a_pattern_lets_others_in_between_its_two_scans():
    """A fill there has lost its lease already, so it stores nothing that the drop would miss."""
    server = RedisDouble()
    tier = DoubleRedisTier(server)
    entry = TierSuite.entry(FakeClock())
    leases = tier.reserve_many(["k"])
    stored = []
    server.between_commands = lambda: stored.append(tier.fill_many({"k": entry}, leases))
    tier.drop_matching(Pattern("*"))
    assert stored == [set()]
    assert tier.get_many(["k"]) == {}
