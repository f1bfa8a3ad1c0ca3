"""TLS to a server, to sentinels and to a Cluster: verified, or refused with a word on what to do."""

import contextlib
import re
import ssl

import pytest

from greencache import CacheConfig, CacheManager
from greencache.errors import ConfigurationError, SecureConnectionError, TierUnavailableError
from greencache.testing import (
    NoServerAvailable,
    RedisClusterServers,
    RedisSentinelServers,
    RedisServer,
    TcpProxy,
    make_certificates,
    wait_until,
)
from greencache.testing.servers import LOCAL
from greencache.testing.servers.ports import free_port

pytestmark = pytest.mark.timeout(120)

PATIENT = {"connect_timeout": 10, "timeout": 20, "deadline": 30}
"""A handshake takes long where many tests run at once."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Certificates of this host, and of a client."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def context(certificates):
    """What the proxies say; a test may put another one in its place."""
    return certificates.server_context()


class Standalone:
    """One server behind a proxy that speaks TLS."""

    def __init__(self, context):
        self._stack = contextlib.ExitStack()
        server = self._stack.enter_context(RedisServer(sources=LOCAL))
        self.proxy = self._stack.enter_context(TcpProxy(("127.0.0.1", server.port), tls=context))
        self.url = f"rediss://127.0.0.1:{self.proxy.port}"
        self.fronts = [self.proxy]
        self.flush = server.flush
        self.close = self._stack.close


class Several:
    """Servers that belong together, each behind a proxy that speaks TLS."""

    def __init__(self, servers):
        self.servers = servers.start()
        self.url = servers.url
        members = [*servers.nodes, *getattr(servers, "sentinels", [])]
        self.fronts = [member.front for member in members]
        self.flush = servers.flush
        self.close = servers.close


TOPOLOGIES = {
    "standalone": Standalone,
    "sentinel": lambda context: Several(RedisSentinelServers(sources=LOCAL, tls=context)),
    "cluster": lambda context: Several(RedisClusterServers(sources=LOCAL, tls=context)),
}


@pytest.fixture(scope="module", params=TOPOLOGIES)
def servers(request, context):
    """Each topology."""
    with contextlib.closing(TOPOLOGIES[request.param](context)) as servers:
        yield servers


@pytest.fixture
def shown(servers, context):
    """Return a function that lets all proxies say something else, for this test."""
    servers.flush()

    def show(other):
        for front in servers.fronts:
            front.tls = other

    show.url = servers.url
    yield show
    show(context)


def trusting(url, certificates, **more):
    """Return a URL with what a client needs to trust the servers."""
    options = {"ssl_ca_certs": certificates.authority} | more
    return f"{url}?" + "&".join(f"{name}={value}" for name, value in options.items())


def test_it_serves_over_tls_and_only_that(servers, shown, certificates, new_manager, parser):
    """Each connection to each server is one, those that the servers themselves name included."""
    for front in servers.fronts:
        front.takes_plain = False
    try:
        manager = connected(new_manager, trusting(servers.url, certificates), parser=parser)
        value = b"v" * 100_000
        for number in range(10):
            assert manager.execute("SET", f"key{number}", value) == b"OK"
        assert manager.execute("MGET", *(f"key{number}" for number in range(10))) == [value] * 10
        assert manager.check().up
    finally:
        for front in servers.fronts:
            front.takes_plain = True


def connected(new_manager, url, **options):
    """Return a manager that has been answered once: where many tests run at once, that takes its time."""
    manager = new_manager(url, **PATIENT, **options)
    wait_until(lambda: is_answered(manager), deadline=60, reason="the servers answer over TLS")
    return manager


def is_answered(manager):
    """Return whether a manager gets answers."""
    with contextlib.suppress(TierUnavailableError):
        return manager.execute("GET", "nothing") is None
    return False


def hears_all(cache):
    """Return whether a cache is connected and hears all announcements."""
    with contextlib.suppress(TierUnavailableError):
        return bool(cache.initialize(strict=True))
    return False


def test_a_cache_over_tls(servers, shown, certificates):
    """By its configuration, announcements included."""
    config = CacheConfig(l3={"url": trusting(servers.url, certificates)} | PATIENT, namespace="tls")
    with CacheManager.from_config(config) as cache, CacheManager.from_config(config) as other:
        wait_until(lambda: hears_all(cache), deadline=60, reason="it is connected")
        wait_until(lambda: hears_all(other), deadline=60, reason="the other is connected")
        cache.set("key", 1)
        wait_until(lambda: other.get("key") == 1, deadline=10, reason="the other reads it")
        cache.invalidate("key")
        wait_until(lambda: other.get("key") is None, deadline=20, reason="the other has heard of it")


def refusal_of(new_manager, url):
    """Return the error of a call that was not just short of time, and how long it slept between attempts."""
    found, sleeps = [], []
    manager = new_manager(url, connect_timeout=3, deadline=10, sleep=sleeps.append)

    def is_refused():
        sleeps.clear()
        try:
            manager.execute("GET", "key")
        except TierUnavailableError as error:
            found.append(error)
        return found and not re.search("in time|deadline has passed|circuit breaker", str(found[-1]))

    wait_until(is_refused, deadline=60, reason="a call was refused for another reason than time")
    return found[-1], sleeps


REFUSED = {
    "unknown authority": ({}, "ssl_ca_certs"),
    "expired": ({"expired": True}, "has expired; renew it"),
    "another host": ({"hosts": ["elsewhere.test"]}, r"for another (host|address); connect by a name"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_server_that_is_not_to_be_trusted_is_refused(shown, certificates, tmp_path, new_manager, why):
    """At once, with an error of its own type that says what to do; and a read of a cache is a miss."""
    options, message = REFUSED[why]
    bad = make_certificates(tmp_path / "bad", **options)
    shown(bad.server_context())
    url = trusting(shown.url, certificates if why == "unknown authority" else bad)
    fault, sleeps = refusal_of(new_manager, url)
    assert isinstance(fault, SecureConnectionError)
    assert re.search(message, str(fault))
    assert sleeps == []
    with CacheManager.from_urls(l3=url, namespace="tls") as cache:
        assert cache.get("key") is None


def test_verification_is_off_only_where_that_is_asked_for(servers, shown, tmp_path, new_manager):
    """By ssl_cert_reqs=none; and that of names alone by ssl_check_hostname=false."""
    bad = make_certificates(tmp_path / "bad", hosts=["elsewhere.test"])
    shown(bad.server_context())
    fault, _ = refusal_of(new_manager, servers.url)
    assert isinstance(fault, SecureConnectionError)
    connected(new_manager, f"{servers.url}?ssl_cert_reqs=none")
    connected(new_manager, trusting(servers.url, bad, ssl_check_hostname="false"))
    fault, _ = refusal_of(new_manager, f"{servers.url}?ssl_check_hostname=false")
    assert isinstance(fault, SecureConnectionError)


def test_servers_may_demand_a_certificate(servers, shown, certificates, new_manager):
    """Who has none is told which options name it; who has one is served."""
    shown(certificates.server_context(demands_client=True))
    fault, _ = refusal_of(new_manager, trusting(servers.url, certificates))
    assert re.search(r"certificate of ours.*ssl_certfile", str(fault))
    own = {"ssl_certfile": certificates.client, "ssl_keyfile": certificates.client_key}
    connected(new_manager, trusting(servers.url, certificates, **own))


def test_old_versions_of_tls_are_refused(servers, shown, certificates, new_manager):
    """Nobody talks us into them."""
    old = certificates.server_context()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    shown(old)
    fault, _ = refusal_of(new_manager, trusting(servers.url, certificates))
    assert isinstance(fault, SecureConnectionError)
    assert "let it offer 1.2" in str(fault)


def test_a_server_without_tls_is_told_from_one_with_it(new_manager, redis_server, redis_url, certificates):
    """In time: it may say nothing at all to what it does not understand."""
    url = trusting(f"rediss://127.0.0.1:{redis_server.port}", certificates)
    with pytest.raises(TierUnavailableError):
        new_manager(url, deadline=1).execute("PING")


def test_a_restart_is_no_failure_over_tls(servers, shown, certificates, new_manager):
    """Connections that the server closes while they are idle are opened anew, without an error."""
    manager = connected(new_manager, trusting(servers.url, certificates))
    for ending in ("fin", "rst"):
        manager.execute("SET", "key", ending)
        for front in servers.fronts:
            front.drop(ending)
        assert manager.execute("GET", "key") == ending.encode()


def test_it_follows_a_failover_over_tls(certificates, context, new_manager):
    """To where the sentinels say that the new primary is, which is its proxy."""
    with RedisSentinelServers(sources=LOCAL, tls=context) as servers:
        manager = connected(new_manager, trusting(servers.url, certificates))
        manager.execute("SET", "key", "value")
        new = servers.failover()

        def is_there():
            with contextlib.suppress(TierUnavailableError):
                manager.execute("SET", "key", "other")
            return manager.address.endswith(f":{new.port}")

        wait_until(is_there, deadline=20, reason="it is with the new primary")
        wait_until(lambda: new.execute("GET", "key") == "other", deadline=5, reason="written there")


@pytest.fixture
def tls_server(certificates):
    """Start a server that speaks TLS itself, as Debian's does, and return the port for that."""
    port = free_port()
    words = {
        "--tls-port": port,
        "--tls-cert-file": certificates.server,
        "--tls-key-file": certificates.server_key,
        "--tls-ca-cert-file": certificates.authority,
        "--tls-auth-clients": "yes",
    }
    arguments = [str(word) for pair in words.items() for word in pair]
    for source in RedisServer(sources=LOCAL).sources_here():
        server = RedisServer(sources=[source], arguments=arguments)
        with contextlib.suppress(NoServerAvailable), server:
            yield port
            return
    pytest.skip("no server program here has TLS; Debian's and Ubuntu's redis-server has it")


def test_a_servers_own_tls_is_served_as_the_proxys(tls_server, certificates, new_manager, parser):
    """Certificates are demanded of both sides."""
    own = {"ssl_certfile": certificates.client, "ssl_keyfile": certificates.client_key}
    url = f"rediss://127.0.0.1:{tls_server}"
    manager = connected(new_manager, trusting(url, certificates, **own), parser=parser)
    value = b"v" * 1_000_000
    manager.execute("SET", "key", value)
    assert manager.execute("GET", "key") == value
    fault, _ = refusal_of(new_manager, trusting(url, certificates))
    assert re.search(r"certificate of ours.*ssl_certfile", str(fault))


def test_certificates_are_read_again_when_they_have_changed(servers, shown, tmp_path, new_manager):
    """Those that are renewed before they expire are used by connections to come; nothing is restarted."""
    folder = tmp_path / "mine"
    shown(make_certificates(folder).server_context())
    url = f"{servers.url}?ssl_ca_certs={folder / 'authority.pem'}"
    manager = connected(new_manager, url)
    shown(make_certificates(folder).server_context())
    for front in servers.fronts:
        front.drop("fin")
    wait_until(lambda: is_answered(manager), deadline=60, reason="the new authority is trusted")


BROKEN = {
    "missing": (
        "ssl_ca_certs=/nowhere/ca.pem",
        "cannot read the file that ssl_ca_certs names, /nowhere/ca.pem",
    ),
    "no certificate": ("ssl_ca_certs={}", "in PEM form in ssl_ca_certs="),
    "no key": ("ssl_certfile={}", "in PEM form in ssl_certfile="),
}


@pytest.mark.parametrize("what", BROKEN)
def test_files_that_cannot_be_used_are_named(new_manager, tmp_path, redis_server, what):
    """Instead of a word about the server, which has done nothing."""
    options, message = BROKEN[what]
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    manager = new_manager(f"rediss://127.0.0.1:{redis_server.port}?{options.format(junk)}")
    with pytest.raises(SecureConnectionError, match=re.escape(message)):
        manager.execute("PING")


@pytest.mark.parametrize("option", ["ssl_cert_reqs=maybe", "ssl_check_hostname=1"])
def test_options_that_mean_nothing_are_refused(new_manager, option):
    """When the manager is made: a typing error must not end in a connection that verifies nothing."""
    with pytest.raises(ConfigurationError, match=f"for {option.partition('=')[0]} in a Redis URL"):
        new_manager(f"rediss://127.0.0.1?{option}")
