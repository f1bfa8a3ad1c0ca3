"""greencache.config.urls."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greencache.config import PostgresUrl, RedisTopology, RedisUrl
from greencache.errors import ConfigurationError

CANARY = "hunter2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://localhost", "redis://localhost"),
        (f"rediss://:{CANARY}@[::1]:6379/0?ssl_cert_reqs=none", "rediss://***@[::1]:6379/0"),
        (f"redis://{CANARY}@h/3", "redis://***@h/3"),
        (f"unix:///run/redis.sock?db=1&password={CANARY}", "unix:///run/redis.sock"),
        (f"unix://user:{CANARY}@/run/redis.sock", "unix://***@/run/redis.sock"),
    ],
)
def test_a_redis_url_shows_its_place_only(text, shown):
    """What is printed of it has neither credentials nor options; the whole is kept."""
    url = RedisUrl(text)
    assert str(url) == shown
    assert CANARY not in repr(url)
    assert url.get_secret_value() == text
    assert url.topology is RedisTopology.STANDALONE


@pytest.mark.parametrize(
    ("text", "shown", "topology"),
    [
        (f"redis+sentinel://u:{CANARY}@h1,[::1]:5/a", "redis+sentinel://***@h1,[::1]:5/a", "sentinel"),
        (f"rediss+sentinel://h1/a/3?sentinel_password={CANARY}", "rediss+sentinel://h1/a/3", "sentinel"),
        (f"redis+cluster://:{CANARY}@h1:1,h2", "redis+cluster://***@h1:1,h2", "cluster"),
    ],
)
def test_a_redis_url_may_name_several_servers(text, shown, topology):
    """And says how they belong together."""
    url = RedisUrl(text)
    assert (str(url), url.topology.value) == (shown, topology)
    assert CANARY not in repr(url)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db"),
        (f"postgres://user:{CANARY}@h1:5432,h2:5433/db?sslmode=require", "postgres://***@h1:5432,h2:5433/db"),
        (f"postgresql://h/db?password={CANARY}", "postgresql://h/db"),
        ("postgresql://%2Frun%2Fpg/db", "postgresql://%2Frun%2Fpg/db"),
    ],
)
def test_a_postgres_url_shows_its_place_only(text, shown):
    """What libpq takes is taken, and printed without what is secret."""
    url = PostgresUrl(text)
    assert str(url) == shown
    assert url.has_password is (CANARY in text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CANARY, "without ://"),
        (f"localhost:6379/{CANARY}", "without ://"),
        (f"reddis://:{CANARY}@h", "did you mean 'redis'"),
        (f"REDIS://:{CANARY}@h", "did you mean 'redis'"),
        (f"redis://:{CANARY}/x@h/0", "percent-encode"),
        (f"redis://:a@{CANARY}@h/0", "percent-encode"),
        (f"redis://:{CANARY}?x@h/0", "percent-encode"),
        (f"redis://:{CANARY}#x@h/0", "percent-encode"),
        (f"redis://h/0?password={CANARY}@", "percent-encode"),
        (f"redis://user:{CANARY}", "a port as a number"),
        (f"redis://h:1,h:2/0?password={CANARY}", "expected one host"),
        (f"redis://:{CANARY}@h/prod", "number of a database"),
        (f"redis://:{CANARY}@h?socket_timeout=60", "'socket_timeout' cannot be an option"),
        (f"redis://:{CANARY}@h?protocol=3", "'protocol' cannot be an option"),
        (f"unix://:{CANARY}@", "three slashes"),
        (f"unix://run/redis.sock?password={CANARY}", "three slashes"),
        (f"redis+sentinel://:{CANARY}@h1,h2", "name of a service"),
        (f"redis+sentinel://:{CANARY}@h1,h2/a/b/c", "name of a service"),
        (f"redis+sentinel://:{CANARY}@h1:x,h2/a", "a port as a number"),
        (f"redis+cluster://:{CANARY}@h/3", "number of a database"),
    ],
)
def test_a_wrong_redis_url_is_refused_without_being_quoted(text, reason):
    """The reason is said, the password is not."""
    with pytest.raises(ConfigurationError, match=reason) as caught:
        RedisUrl(text)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["postgresql+psycopg://h/db", "redis://h", f"host=h password={CANARY}", "postgresql://h:x/db"]
)
def test_a_wrong_postgres_url_is_refused_without_being_quoted(text):
    """SQLAlchemy's schemes and libpq's keyword form are not URLs of PostgreSQL."""
    with pytest.raises(ConfigurationError, match="postgresql://localhost") as caught:
        PostgresUrl(text)
    assert CANARY not in str(caught.value)


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.sampled_from([RedisUrl, PostgresUrl]))
def test_no_text_between_colon_and_at_is_ever_shown(password, kind):
    """Whatever a password is made of, a URL with it is refused or printed without it."""
    marked = f"{CANARY}{password}{CANARY}"
    scheme = "redis" if kind is RedisUrl else "postgresql"
    try:
        shown = str(kind(f"{scheme}://user:{marked}@h:1/0"))
    except ConfigurationError as error:
        shown = str(error)
    assert CANARY not in shown
    assert "***@h:1/0" in shown or "percent-encode" in shown


def test_a_refused_url_has_nothing_to_show():
    """Not even one that was made past its checks, as a debugger may see it."""
    url = RedisUrl.__new__(RedisUrl)
    url._secret_value = f"redis://:a@{CANARY}@h"
    assert repr(url) == "RedisUrl('***')"


def test_urls_are_values():
    """They compare, copy and pickle like the text they stand for."""
    url = RedisUrl("redis://a")
    assert url == RedisUrl("redis://a") != RedisUrl("redis://b")
    assert pickle.loads(pickle.dumps(url)) == copy.deepcopy(url) == url
