"""Where a Redis is: URLs, and what they must never give away."""

import traceback

import pytest

from greencache.backends.redis_address import RedisAddress
from greencache.errors import ConfigurationError

CANARY = "c4n4ry-pa55word"


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("redis://cache.example:6380/2", {"host": "cache.example", "port": 6380, "db": 2, "scheme": "redis"}),
        (
            "redis://localhost",
            {"host": "localhost", "port": 6379, "db": 0, "username": None, "password": None},
        ),
        ("redis://", {"host": "localhost", "port": 6379}),
        ("redis://h?db=3", {"host": "h", "db": 3}),
        ("redis://h/", {"host": "h", "db": 0}),
        ("redis://:se%40cret@h", {"username": None, "password": "se@cret"}),
        ("redis://me:se%2Fcret@h", {"username": "me", "password": "se/cret"}),
        ("redis://[::1]:7000", {"host": "::1", "port": 7000}),
        ("rediss://h?ssl_ca_certs=/etc/ca.pem", {"scheme": "rediss", "tls": {"ssl_ca_certs": "/etc/ca.pem"}}),
        ("unix:///run/redis%20one.sock?db=1", {"scheme": "unix", "path": "/run/redis one.sock", "db": 1}),
        (
            "unix://me:secret@/run/redis.sock",
            {"username": "me", "password": "secret", "path": "/run/redis.sock"},
        ),
    ],
)
def test_reads_urls(url, fields):
    """All the forms, with and without their parts."""
    address = RedisAddress.parse(url)
    assert {name: getattr(address, name) for name in fields} == fields


def test_arguments_win_over_the_url():
    """A secret can be kept out of the URL."""
    address = RedisAddress.parse("redis://me:old@h", username="you", password="new")
    assert (address.username, address.password) == ("you", "new")


@pytest.mark.parametrize(
    ("url", "label"),
    [("redis://h:1", "h:1"), ("redis://[::1]:2", "[::1]:2"), ("unix:///run/r.sock", "/run/r.sock")],
)
def test_label_names_the_server_alone(url, label):
    """As messages show it."""
    assert RedisAddress.parse(url, password=CANARY).label == label


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://h", "'http'"),
        ("localhost:6379", "'localhost'"),
        ("", "''"),
        ("redis://h:port", "host or port"),
        ("redis://h:99999", "host or port"),
        ("redis://h/zero", "number of a database"),
        ("redis://h/-1", "number of a database"),
        ("unix://", "path of a socket"),
        ("redis://h?socket_timeout=3", "socket_timeout; time limits and sizes are arguments"),
        ("redis://h?ssl_verify=0", "ssl_verify"),
    ],
)
def test_refuses_urls_that_it_cannot_read(url, says):
    """And says what it would read."""
    with pytest.raises(ConfigurationError, match=r"expected .*") as caught:
        RedisAddress.parse(url)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{CANARY}@h:port",
        f"redis://:{CANARY}/x@h:1",
        f"redis://:x/{CANARY}@h:1",
        f"redis://:x#{CANARY}@h:1",
        f"redis://:x?{CANARY}@h:1",
        f"redis://:[{CANARY}@h:1",
        f"http://:{CANARY}@h",
        f"redis://:{CANARY}@h/zero",
        f"redis://:{CANARY}@h?nonsense={CANARY}",
        f"unix://:{CANARY}@",
    ],
)
def test_a_wrong_url_gives_no_password_away(url):
    """Not even when the password is what made it wrong."""
    with pytest.raises(ConfigurationError) as caught:
        RedisAddress.parse(url)
    assert CANARY not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_shows_no_login():
    """Neither in its repr nor in its label; and it takes the password out of what others write."""
    address = RedisAddress.parse(f"redis://user-{CANARY}:{CANARY}@h", password=CANARY)
    assert CANARY not in repr(address)
    assert CANARY not in address.label
    assert address.scrub(f"-ERR you said {CANARY}!") == "-ERR you said ***!"
    assert RedisAddress.parse("redis://h").scrub("text") == "text"
