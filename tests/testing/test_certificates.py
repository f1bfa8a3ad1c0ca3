"""Promises of certificates for tests, and of a proxy that ends TLS in front of a plain server."""

import contextlib
import ssl

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from greencache.testing import TcpProxy, make_certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Certificates of this host."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def proxy(redis_server, certificates):
    """A proxy that speaks TLS in front of a server that does not."""
    with TcpProxy(("127.0.0.1", redis_server.port), tls=certificates.server_context()) as proxy:
        yield proxy


def client(proxy, **options):
    """Return a client that speaks TLS, for a with block."""
    return contextlib.closing(
        redis.Redis(port=proxy.port, ssl=True, retry=Retry(NoBackoff(), 0), socket_timeout=5, **options)
    )


def test_clients_that_trust_the_authority_are_served(proxy, redis_url, certificates):
    """Values small and large, in both directions, also torn and in a hurry."""
    value = bytes(range(256)) * 10_000
    with client(proxy, ssl_ca_certs=str(certificates.authority)) as trusting:
        trusting.set("key", value)
        assert trusting.get("key") == value
        proxy.replies.chunk_size = 7
        assert trusting.getrange("key", 0, 999) == value[:1000]


def test_clients_that_do_not_trust_it_refuse(proxy):
    """Verification is on by default, and the proxy outlives the quarrel."""
    with client(proxy) as stranger, pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        stranger.ping()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"expired": True}, "certificate has expired"),
        ({"hosts": ["elsewhere.test"]}, "not valid for '127.0.0.1'"),
    ],
)
def test_bad_certificates_can_be_made(proxy, tmp_path, options, reason):
    """An expired one, and one of another host; the proxy shows it from the next connection on."""
    bad = make_certificates(tmp_path / "bad", **options)
    proxy.tls = bad.server_context()
    trusting = {"ssl_ca_certs": str(bad.authority), "host": "127.0.0.1"}
    with client(proxy, **trusting) as trusted, pytest.raises(redis.ConnectionError, match=reason):
        trusted.ping()


def test_clients_can_be_asked_who_they_are(proxy, redis_url, certificates):
    """A client without a certificate is turned away, one with it is served."""
    proxy.tls = certificates.server_context(demands_client=True)
    trust = {"ssl_ca_certs": str(certificates.authority)}
    with client(proxy, **trust) as nobody, pytest.raises(redis.ConnectionError):
        nobody.ping()
    own = {"ssl_certfile": str(certificates.client), "ssl_keyfile": str(certificates.client_key)}
    with client(proxy, **trust, **own) as known:
        assert known.ping()


def test_faults_work_inside_tls(proxy, redis_url, certificates):
    """A dropped connection, a rewritten reply, a black hole during the handshake."""
    with client(proxy, ssl_ca_certs=str(certificates.authority)) as trusting:
        trusting.set("key", "value")
        proxy.replies.framed = True
        proxy.replies.rewrite = lambda frame: frame.replace(b"value", b"other")
        assert trusting.get("key") == b"other"
        proxy.drop("fin")
        proxy.heal()
        assert trusting.get("key") == b"value"
    proxy.black_hole = True
    with client(proxy, ssl_ca_certs=str(certificates.authority)) as hanging:
        hanging.connection_pool.connection_kwargs["socket_timeout"] = 0.1
        with pytest.raises((redis.TimeoutError, redis.ConnectionError)):
            hanging.ping()


def test_who_speaks_no_tls_is_turned_away(proxy):
    """And the proxy goes on."""
    with (
        contextlib.closing(redis.Redis(port=proxy.port, retry=Retry(NoBackoff(), 0))) as plain,
        pytest.raises(redis.ConnectionError),
    ):
        plain.ping()
    assert proxy.accepted == 1


def test_contexts_verify(certificates):
    """A client's context checks certificate and host; a private key is for its owner only."""
    context = certificates.client_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    for key in (certificates.server_key, certificates.client_key):
        assert key.stat().st_mode & 0o077 == 0
