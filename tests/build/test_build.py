"""From configuration to cache."""

import json
import pathlib
import secrets
import traceback
import urllib.parse

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from greencache import (
    CacheConfig,
    CacheManager,
    ConfigurationError,
    EntryOptions,
    TierUnavailableError,
    ViewSpec,
    WriteThrough,
)
from greencache.events import NullRecorder
from greencache.testing import wait_until

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize("profile", ["production", "development", "testing"])
def test_every_profile_of_the_shipped_configuration_builds(profile, monkeypatch):
    """Building connects to nothing, so any machine can do it."""
    for number in (2, 3):
        monkeypatch.setenv(f"GREENCACHE__L{number}__URL", f"redis://127.0.0.1:1/{number}")
    monkeypatch.setenv("GREENCACHE__L4__URL", "postgresql://127.0.0.1:1/none")
    for name in ("L2__PASSWORD", "L3__PASSWORD"):
        monkeypatch.setenv(f"GREENCACHE__{name}", "not a secret")
    monkeypatch.setenv("GREENCACHE__CODEC__SIGNING_KEYS", '["0123456789abcdef0123456789abcdef"]')
    with CacheManager.from_config(ROOT / "config" / "cache.yaml", profile=profile) as cache:
        assert cache.get_stats().tiers


def test_a_configuration_file_describes_a_working_cache(tmp_path, redis_servers, postgres_url):
    """Namespace, tiers, codec, strategy and view, on real servers."""
    path = tmp_path / "cache.yaml"
    path.write_text(
        f"""
namespace: configured
strategy: write-through
l1: {{size: 1MB, ttl: 30s}}
l2: {{url: "{redis_servers().url}"}}
l3: {{url: "{redis_servers().url}"}}
l4:
  url: "{postgres_url}"
  views:
    - {{name: one_view, key: "one:{{id}}", value: v, query: "SELECT 1 AS id, 'from the view'::text AS v"}}
codec: {{serializer: json, compression: zlib, signing_keys: [0123456789abcdef0123456789abcdef]}}
logging: {{enabled: false}}
"""
    )
    with CacheManager.from_config(path) as cache:
        cache.initialize(strict=True)
        assert cache.namespace == "configured"
        assert cache.get("one:1") == "from the view"
        cache.write("k", "written", lambda _: None)
        assert cache.get("k") == "written"
        with CacheManager.from_config(path) as other:
            assert other.get("k") == "written"
        cache.invalidate("one:1")
        assert cache.get("one:1") is None
        assert cache.refresh_view("one_view") is True
        assert cache.get("one:1") == "from the view"


def test_an_environment_variable_overrules_the_file(tmp_path, monkeypatch):
    """As with every setting."""
    path = tmp_path / "cache.yaml"
    path.write_text("namespace: from_file\n")
    monkeypatch.setenv("GREENCACHE__NAMESPACE", "from_environment")
    with CacheManager.from_config(path) as cache:
        assert cache.namespace == "from_environment"


def test_arguments_overrule_the_settings():
    """What cannot be said in a file, or should not."""
    options = {"strategy": WriteThrough(), "defaults": EntryOptions(ttl=5), "patience": 1.0}
    with CacheManager.from_urls(l1="1MB", recorder=NullRecorder(), **options) as cache:
        cache.write("k", "written", lambda _: None)
        assert cache.get("k") == "written"
    with CacheManager.from_config(CacheConfig(), **options) as cache:
        cache.write("k", "written", lambda _: None)
        assert cache.get("k") == "written"


def test_an_unknown_argument_is_a_type_error():
    """Not a setting that nobody reads."""
    with pytest.raises(TypeError, match="max_stale"):
        CacheManager.from_urls(max_stale=5)


def test_views_without_postgresql_are_refused():
    """There is nothing that they could be read from."""
    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        CacheManager.from_urls(views=[ViewSpec(name="v", template="v:{id}", value="v")])


@pytest.mark.parametrize(
    "urls", [{"l2": "http://h"}, {"l1": "5 bananas"}, {"l4": "mysql://h/d"}, {"l1": None}]
)
def test_what_cannot_be_a_cache_is_refused(urls):
    """With an error that names the setting, when the cache is built."""
    with pytest.raises(ConfigurationError):
        CacheManager.from_urls(**urls)


def test_without_a_redis_l1_asks_again_after_max_staleness(postgres_url):
    """Nobody tells this process what others have invalidated."""
    with (
        CacheManager.from_urls(l4=postgres_url, max_staleness=0.2) as cache,
        CacheManager.from_urls(l4=postgres_url, max_staleness=0.2) as other,
    ):
        cache.mset({"a": 1, "b": 1}, tags=["t"])
        assert other.mget(["a", "b"]) == {"a": 1, "b": 1}
        cache.invalidate("a")
        cache.invalidate(tags=["t"])
        wait_until(
            lambda: other.mget(["a", "b"]) == {}, deadline=5, reason="L1 and stamps are asked for again"
        )


def test_a_view_with_a_query_is_created_by_the_first_call_that_needs_it(postgres_url):
    """`initialize` need not be called."""
    query = "SELECT 'DE'::text AS region, 1.5::float8 AS amount"
    view = ViewSpec(name="factor_view", template="factor:{region}", value="amount", query=query)
    with CacheManager.from_urls(l4=postgres_url, views=[view]) as cache:
        assert cache.get("factor:DE") == 1.5


def test_a_view_whose_query_is_refused_is_said_at_the_start_and_no_error_of_a_read(postgres_url):
    """`initialize` raises, a read goes on without the view."""
    view = ViewSpec(name="v", template="v:{id}", value="v", query="SELECT nonsense")
    with CacheManager.from_urls(l4=postgres_url, views=[view]) as cache:
        assert cache.get_or_load("v:1", lambda: "loaded") == "loaded"
        assert cache.health_check()["L4"].status == "degraded"
        with pytest.raises(TierUnavailableError, match="not as it is described"):
            cache.initialize(strict=True)
    with CacheManager.from_urls(l4=postgres_url, views=[view]) as cache, pytest.raises(ConfigurationError):
        cache.initialize()


def test_one_database_for_two_tiers_is_refused(redis_url):
    """Each would take the other's entries and leases for its own."""
    with pytest.raises(ConfigurationError, match="different databases"):
        CacheManager.from_urls(l2=redis_url, l3=redis_url)


@pytest.mark.parametrize(
    "arguments",
    [
        {"strategy": WriteThrough},
        {"strategy": "write-through"},
        {"defaults": {"ttl": 3}},
        {"tiers": "redis://h"},
    ],
)
def test_arguments_of_the_wrong_kind_are_refused_when_the_cache_is_built(arguments):
    """Not at the first call."""
    with pytest.raises(ConfigurationError):
        CacheManager(**arguments)


@pytest.mark.parametrize("views", [ViewSpec(name="v", template="v:{id}", value="v"), [{"name": "v"}], "v"])
def test_views_are_specs(views):
    """And several of them."""
    with pytest.raises(ConfigurationError, match="ViewSpec"):
        CacheManager.from_urls(l4="postgresql://h/d", views=views)


CANARY = "hunter2 &=+/@%"


@pytest.fixture
def reader_url(postgres_server, postgres_url):
    """An address without credentials, of a database whose user "a reader" has the canary for a password."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        name, secret = sql.Identifier(f"a reader {secrets.token_hex(4)}"), sql.Literal(CANARY)
        connection.execute(sql.SQL("create role {} login password {}").format(name, secret))
        connection.execute(sql.SQL("grant create on database {} to {}").format(_database(connection), name))
        parts = urllib.parse.urlsplit(postgres_url)
        place = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        yield place, name.as_string(None).strip('"')
        connection.execute(sql.SQL("drop owned by {0} cascade; drop role {0}").format(name))


def _database(connection):
    return sql.Identifier(connection.info.dbname)


def test_a_user_and_password_beside_the_url_reach_the_database(reader_url):
    """Of L4, as of the others; and are in no text that anybody reads."""
    place, user = reader_url
    config = CacheConfig(l4={"url": place, "username": user, "password": CANARY})
    with CacheManager.from_config(config).initialize(strict=True) as cache:
        cache.set("k", 1)
        manager = cache._engine.stack.shared[0].tier._manager
        assert manager.fetch(b"select current_user") == [(user,)]
        told = repr(cache), repr(manager), repr(config), str(cache.health_check().as_dict()), manager.where
        assert "hunter2" not in "".join(told)


def test_a_password_that_is_refused_is_not_told(reader_url):
    """Neither in the error, nor in what led to it, nor in the health."""
    place, user = reader_url
    config = CacheConfig(
        l4={"url": place, "username": user, "password": CANARY + "wrong", "sslmode": "disable"}
    )
    with CacheManager.from_config(config) as cache:
        manager = cache._engine.stack.shared[0].tier._manager
        with pytest.raises(TierUnavailableError) as raised:
            manager.fetch(b"select 1")
        assert "authentication failed" in str(raised.value)
        told = "".join(traceback.format_exception(raised.value)) + str(cache.health_check().as_dict())
        assert "hunter2" not in told


def test_tls_settings_beside_the_url_reach_the_database(postgres_url):
    """A certificate that is asked for and cannot be had keeps the tier away; it is not done without."""
    missing = {"sslmode": "verify-full", "sslrootcert": "/nowhere/root.crt"}
    config = CacheConfig(l4={"url": postgres_url, **missing, "sslcert": "/nowhere/c", "sslkey": "/nowhere/k"})
    parameters = conninfo_to_dict(config.l4.address.get_secret_value())
    assert {name: parameters[name] for name in missing} == missing
    assert (parameters["sslcert"], parameters["sslkey"]) == ("/nowhere/c", "/nowhere/k")
    with (
        CacheManager.from_config(config) as cache,
        pytest.raises(TierUnavailableError, match=r"SSL|/nowhere"),
    ):
        cache.initialize(strict=True)


def test_a_server_that_is_not_as_configured_is_told(redis_url):
    """In the tier's report; that changes no status, and can be switched off."""
    server = {"maxmemory": "77MB", "directives": {"hz": "33"}}
    settings = {"url": redis_url, "server": server}
    with CacheManager.from_config(CacheConfig(l2=settings)) as cache:
        whole = cache.health_check()
        report = whole["L2"]
        assert {"maxmemory", "hz"} <= {drift.setting for drift in report.drift}
        assert report.status == "up"
        told = json.loads(json.dumps(whole.as_dict()))["tiers"]["L2"]["detail"]["drift"]
        assert {"setting": "hz", "expected": "33"}.items() <= told[-1].items()
    with CacheManager.from_config(CacheConfig(l2=settings | {"server": {"compare": False}})) as cache:
        assert cache.health_check()["L2"].drift == ()
