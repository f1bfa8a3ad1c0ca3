"""Servers that are not who they should be: refused, each time, and in no more time than a call may take."""

import ssl
import time

import pytest

from greencache import CacheManager
from greencache.backends.redis import RedisManager
from greencache.errors import SecureConnectionError, TierUnavailableError
from greencache.testing import TcpProxy, make_certificates

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

CALLS = 10
DEADLINE = 2.0
SLACK = 0.5


def expired(folder):
    """Return what a server shows whose certificate was valid until yesterday, and whom its clients trust."""
    certificates = make_certificates(folder, expired=True)
    return certificates.server_context(), certificates.authority


def of_another_host(folder):
    """Return what a server shows whose certificate is another one's."""
    certificates = make_certificates(folder, hosts=["elsewhere.test"])
    return certificates.server_context(), certificates.authority


def unknown(folder):
    """Return what a server shows for which an authority vouches that nobody knows."""
    context = make_certificates(folder / "theirs").server_context()
    return context, make_certificates(folder / "ours").authority


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def downgraded(folder):
    """Return what a server shows that speaks a TLS which is broken."""
    certificates = make_certificates(folder)
    context = certificates.server_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context, certificates.authority


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize("trouble", [expired, of_another_host, unknown, downgraded])
def test_a_server_that_is_not_to_be_trusted_gets_no_word(figure, redis_server, redis_url, tmp_path, trouble):
    """Neither a command nor a password; a read of a cache is a miss all the same, and says nothing."""
    context, authority = trouble(tmp_path)
    name = trouble.__name__.replace("_", " ")
    seen = []
    with TcpProxy(("127.0.0.1", redis_server.port), tls=context) as proxy:
        proxy.requests.rewrite = lambda data: seen.append(data) or data
        url = f"rediss://:secret@127.0.0.1:{proxy.port}?ssl_ca_certs={authority}"
        served, named, longest = ask(url)
        with CacheManager.from_urls(l3=url, namespace="tls") as cache:
            errors = sum(cache.get(f"key{number}", "nothing") != "nothing" for number in range(CALLS))
    figure(34, f"{name}: calls that were served", served, "", "== 0")
    figure(34, f"{name}: what the server got to read", len(b"".join(seen)), "B", "== 0")
    figure(34, f"{name}: reads that found anything", errors, "", "== 0")
    figure(34, f"{name}: errors that name what is wrong", named, "", ">= 1")
    figure(34, f"{name}: longest call", longest, "s", f"<= {DEADLINE + SLACK}")


def ask(url):
    """Return how many calls were served, how many were refused with a reason, and the longest call."""
    served = named = 0
    longest = 0.0
    with RedisManager(url, deadline=DEADLINE) as manager:
        for _ in range(CALLS):
            start = time.monotonic()
            try:
                manager.execute("GET", "key")
                served += 1
            except SecureConnectionError:
                named += 1
            except TierUnavailableError:
                pass  # the breaker has opened
            longest = max(longest, time.monotonic() - start)
    return served, named, longest
