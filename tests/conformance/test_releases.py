"""Each release of Redis and Valkey that is tested keeps the promises of every tier, in each topology."""

import pytest

from greencache.testing import RedisClusterServers, RedisSentinelServers, RedisServer
from greencache.testing.servers import LOCAL, RELEASES
from tests.conformance.redis_tier import RedisTierSuite
from tests.faults.figures import only_in_a_long_run


@pytest.fixture(scope="module", params=RELEASES)
def release(request):
    """The name of each release that is installed here."""
    server = RedisServer(release=request.param, sources=LOCAL)
    if not server.sources_here():
        pytest.skip(f"no {RELEASES[request.param]} on this machine. {server.advice}")
    return request.param


@pytest.fixture(scope="module")
def server(release):
    """A server of a release."""
    with RedisServer(release=release, sources=LOCAL) as server:
        assert RELEASES[release].includes(server.version)
        yield server


@pytest.fixture(scope="module")
def sentinels(release):
    """A primary, replicas and sentinels of a release."""
    with RedisSentinelServers(release=release, sources=LOCAL) as servers:
        yield servers


@pytest.fixture(scope="module")
def cluster(release):
    """A cluster of a release."""
    with RedisClusterServers(release=release, sources=LOCAL) as servers:
        yield servers


class TestEachRelease(RedisTierSuite):
    """A single server."""

    @pytest.fixture
    def url(self, server):
        """Of an empty database."""
        server.flush()
        return server.url


@only_in_a_long_run
class TestEachReleaseBehindSentinels(RedisTierSuite):
    """The primary of the moment."""

    @pytest.fixture
    def url(self, sentinels):
        """Of empty servers."""
        sentinels.flush()
        return sentinels.url


@only_in_a_long_run
class TestEachReleaseAsACluster(RedisTierSuite):
    """Keys on three primaries."""

    @pytest.fixture
    def url(self, cluster):
        """Of an empty cluster."""
        cluster.flush()
        return cluster.url
