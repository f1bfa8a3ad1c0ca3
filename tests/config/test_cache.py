"""greencache.config.cache: the whole of a configuration."""

import copy
import json
import pickle
import subprocess
import sys
import traceback

import pytest
from pydantic import ValidationError

from greencache.config import (
    CacheConfig,
    CodecConfig,
    L1Config,
    L2Config,
    RetryConfig,
    ViewConfig,
)
from greencache.errors import ConfigurationError, GreencacheError
from greencache.options import EntryOptions
from greencache.typing import UNSET, CacheTier

CANARY = "hunter2-canary"


@pytest.fixture
def load(tmp_path):
    """Return a function that loads a configuration from text and variables."""

    def load(text, profile=None, **environ):
        path = tmp_path / "cache.yaml"
        path.write_text(text, encoding="utf-8")
        return CacheConfig.load(path, profile=profile, environ=environ)

    return load


def refused(build, *args, **kwargs):
    """Return the message of the error, having checked that it shows no secret."""
    with pytest.raises(ConfigurationError) as caught:
        build(*args, **kwargs)
    shown = "".join(traceback.format_exception(caught.value)[-1:])
    assert CANARY not in str(caught.value) + repr(caught.value) + shown
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_the_defaults_are_those_of_the_architecture():
    """L1 alone is a cache; the tiers have the documented sizes and times."""
    config = CacheConfig()
    assert config.tiers == (CacheTier.L1,)
    assert (config.l1.size, config.l2.size, config.l3.size) == (5_000_000, 100_000_000, 10_000_000_000)
    assert (config.l1.ttl, config.l2.ttl, config.l3.ttl, config.l4.ttl) == (60.0, 300.0, 3_600.0, None)
    assert (config.codec.serializer, config.codec.compression, config.strategy) == (
        "msgpack",
        "none",
        "cache-aside",
    )
    assert config.bus.max_staleness == 2.0


def test_a_tier_with_a_url_is_configured():
    """A server without an address is no tier, nor is one that is switched off."""
    config = CacheConfig(
        l1={"enabled": False},
        l2={"url": "redis://h"},
        l3={"url": "redis://h", "enabled": False},
        l4={"ttl": 5},
    )
    assert config.tiers == (CacheTier.L2,)
    assert not config.l4.is_configured


def test_from_urls_is_the_short_form():
    """Addresses and a size are enough."""
    config = CacheConfig.from_urls(
        l1="1MiB", l2="redis://a", l3="redis://b", l4="postgresql://c/d", namespace="n"
    )
    assert config.tiers == tuple(CacheTier)
    assert (config.l1.size, config.namespace) == (2**20, "n")
    assert config.l4.url.get_secret_value() == "postgresql://c/d"
    assert CacheConfig.from_urls() == CacheConfig()
    assert CacheConfig.from_urls(l1=None, l2="redis://a").tiers == (CacheTier.L2,)


def test_from_urls_refuses_what_cannot_be():
    """The setting is named; the address is not shown."""
    assert refused(CacheConfig.from_urls, l2=f"http://:{CANARY}@h").startswith("l2.url: expected a URL")
    assert refused(CacheConfig.from_urls, l4=f"redis://:{CANARY}@h").startswith("l4.url: expected a URL")
    assert refused(CacheConfig.from_urls, l1="big").startswith("l1.size: ")
    assert "at least one tier" in refused(CacheConfig.from_urls, l1=None)


def test_a_configuration_cannot_be_changed():
    """Neither a setting nor one inside of it."""
    config = CacheConfig()
    for part, name in ((config, "namespace"), (config.l1, "size"), (config.l2.retry, "retries")):
        with pytest.raises(ValueError, match="frozen"):
            setattr(part, name, 1)


def test_parts_can_be_made_by_themselves():
    """Each part refuses what is wrong in it with an error of ours, and parts make up the whole."""
    retry = RetryConfig(retries=1)
    config = CacheConfig(l1=L1Config(size="1kB"), l2=L2Config(retry=retry))
    assert (config.l1.size, config.l2.retry.retries) == (1_000, 1)
    assert refused(L2Config, password=5).startswith("password: ")
    assert refused(RetryConfig, retris=5).startswith(
        "retris: there is no such setting; did you mean 'retries'?"
    )
    assert refused(L2Config, retry={"retris": 5}).startswith("retry.retris: ")


def test_configurations_copy_and_pickle():
    """A configuration can be sent to another process, secrets included."""
    config = CacheConfig(l2={"url": "redis://h", "password": CANARY})
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config


# ---- profiles and environment


PROFILED = """
namespace: base
l1: {size: 1MB, ttl: 10s}
l2:
  # nothing yet
profiles:
  production: {l1: {size: 2MB}, l2: {url: redis://file}}
  staging: {extends: production, namespace: staging}
"""


def test_the_environment_covers_the_profile_and_the_profile_the_file(load):
    """Each says only what differs."""
    config = load(PROFILED, "staging", GREENCACHE__L1__TTL="5m", GREENCACHE__L2__URL="redis://environment")
    assert (config.namespace, config.l1.size, config.l1.ttl) == ("staging", 2_000_000, 300.0)
    assert str(config.l2.url) == "redis://environment"
    assert load(PROFILED).l1.size == 1_000_000


def test_the_profile_can_come_from_the_environment(load):
    """The argument covers the variable."""
    assert load(PROFILED, GREENCACHE_PROFILE="staging").namespace == "staging"
    assert load(PROFILED, "production", GREENCACHE_PROFILE="staging").namespace == "base"
    assert load(PROFILED, GREENCACHE_PROFILE="").namespace == "base"
    assert "did you mean 'staging'" in refused(load, PROFILED, GREENCACHE_PROFILE="stagin")


def test_the_environment_of_the_process_is_the_default(monkeypatch):
    """Nothing has to be passed."""
    monkeypatch.setenv("GREENCACHE__NAMESPACE", "here")
    assert CacheConfig.load().namespace == "here"


def test_no_file_is_needed():
    """Twelve-factor: all of it from the environment."""
    environ = {
        "GREENCACHE__L1__ENABLED": "false",
        "GREENCACHE__L2__URL": "redis://h",
        "GREENCACHE__L2__RETRY__RETRIES": "1",
        "GREENCACHE__L2__RETRY__FACTOR": "1.5",
        "GREENCACHE__L2__TTL": "never",
        "GREENCACHE__CODEC__SIGNING_KEYS": json.dumps(["k" * 16, "l" * 16]),
    }
    config = CacheConfig.load(environ=environ)
    assert config.tiers == (CacheTier.L2,)
    assert (config.l2.retry.retries, config.l2.retry.factor, config.l2.ttl) == (1, 1.5, None)
    assert [key.get_secret_value()[0] for key in config.codec.signing_keys] == ["k", "l"]
    assert "no file" in refused(CacheConfig.load, profile="production", environ={})


def test_a_value_is_never_expanded(load):
    """What looks like a variable is text."""
    assert load("l2: {username: '${HOME}'}").l2.username == "${HOME}"


def test_an_error_says_where_the_setting_was_written(load):
    """A file by line and column, the environment by variable."""
    text = "l1:\n  sise: 5MB\nprofiles:\n  p:\n    l1:\n      ttl: soon\n"
    message = refused(load, text, "p", GREENCACHE__L2__MAX_CONECTIONS=CANARY)
    assert "3 problems" in message
    assert "l1.sise (" in message
    assert "cache.yaml:2:9): there is no such setting; did you mean 'size'?" in message
    assert "cache.yaml:6:12): expected seconds" in message
    assert (
        "l2.max_conections (environment variable GREENCACHE__L2__MAX_CONECTIONS): "
        "there is no such setting; did you mean 'max_connections'?" in message
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"l2": f"redis://:{CANARY}@h"}, "l2: expected a mapping of names to settings, got str"),
        ({"l1": {"max_entries": 0}}, "l1.max_entries: expected greater than or equal to 1, got 0"),
        ({"l1": {"max_entries": "many"}}, "l1.max_entries: expected a valid integer, got 'many'"),
        ({"l1": {"enabled": "perhaps"}}, "l1.enabled: expected a valid boolean, got 'perhaps'"),
        ({"l1": {"size": 0}}, "l1.size: expected greater than 0, got 0"),
        ({"l1": {"ttl": 0}}, "l1.ttl: expected a duration of more than 0 seconds, or never"),
        ({"l1": {"ttl": -1}}, "l1.ttl: expected seconds"),
        ({"l1": {"ttl": float("nan")}}, "l1.ttl: expected seconds"),
        ({"l1": {"policy": "lur"}}, "l1.policy: got 'lur'; did you mean 'lru'?"),
        ({"codec": {"compression": "zsdt"}}, "codec.compression: got 'zsdt'; did you mean 'zstd'?"),
        ({"strategy": "cache_aside"}, "strategy: got 'cache_aside'; did you mean 'cache-aside'?"),
        ({"l2": {"retry": {"retries": True}}}, "l2.retry.retries: expected a number, got True"),
        ({"l2": {"retry": {"factor": float("inf")}}}, "l2.retry.factor: expected a finite number, got inf"),
        ({"l2": {"password": 1234}}, "l2.password: expected a valid string, got int; quote it"),
        ({"l2": {"password": [CANARY]}}, "l2.password: expected a valid string, got list"),
        ({"l2": {"username": [CANARY]}}, "l2.username: expected a valid string, got list"),
        ({"l2": {"url": {"password": CANARY}}}, "l2.url: expected a valid string, got dict"),
        ({"l2": {"passwrd": CANARY}}, "l2.passwrd: there is no such setting; did you mean 'password'?"),
        ({"L2": {"password": CANARY}}, "L2: there is no such setting; did you mean 'l2'?"),
        (
            {"l2": {"url": f"redis://:{CANARY}@h", "password": CANARY}},
            "l2: expected one password, got one in the url and one beside it",
        ),
        ({"namespace": "a b"}, "namespace: expected a namespace of 1 to 64 characters"),
        ({"codec": {"serializer": "pickle"}}, "codec: the pickle serializer needs signing_keys"),
        ({"codec": {"signing_keys": ["short"]}}, "codec: expected signing_keys of 16 bytes or more"),
        (
            {"codec": {"signing_keys": CANARY}},
            "codec.signing_keys: expected a list; in an environment variable",
        ),
        ({"codec": {"signing_keys": [1]}}, "codec.signing_keys[0]: expected a valid string, got int"),
        (
            {"bus": {"heartbeat": "2s"}},
            "bus: expected heartbeat to be shorter than max_staleness, got 2 s and 2 s",
        ),
        ({"defaults": {"jitter": 2}}, "defaults.jitter: expected less than or equal to 1, got 2"),
        ({"defaults": {"ttl": "per_tier"}}, "defaults.ttl: expected seconds"),
        ({"l4": {"views": [{"key": "f:{r}", "value": "v"}]}}, "l4.views[0].name: expected a value"),
        (
            {"l4": {"views": [{"name": "n", "key": "f:{r}", "value": "v", "maxage": 5}]}},
            "l4.views[0].maxage: there is no such setting; did you mean 'max_age'?",
        ),
        ({"l4": {"views": "x"}}, "l4.views: expected a list"),
    ],
)
def test_a_wrong_setting_is_named_and_explained(settings, message):
    """The path, what was expected, what came, and never a secret."""
    assert refused(CacheConfig, **settings).startswith(message)


# ---- secrets


def test_secrets_show_nowhere(tmp_path):
    """Not in str, repr, JSON, or the dump of a configuration or a part of one."""
    config = CacheConfig(
        l2={"url": f"redis://user:{CANARY}@h/0"},
        l3={"url": "redis://h", "password": CANARY},
        l4={"url": f"postgresql://h/d?password={CANARY}"},
        codec={"signing_keys": [f"{CANARY}-signing-key"]},
    )
    parts = (config, config.l2, config.l3, config.l4, config.codec)
    shown = "".join(f"{part}{part!r}{part.model_dump()}{part.model_dump_json()}" for part in parts)
    assert CANARY not in shown
    assert "redis://***@h/0" in shown
    assert CANARY in config.l2.url.get_secret_value()


def test_pydantics_own_errors_show_no_values():
    """Who calls pydantic's methods gets its errors, without what was given."""
    with pytest.raises(ValidationError) as caught:
        CacheConfig.model_validate({"l2": {"password": [CANARY]}})
    assert CANARY not in str(caught.value)


def test_a_secret_can_come_from_a_file(tmp_path, load):
    """The line end of the file is none of it; a path in the YAML file counts from there."""
    (tmp_path / "password").write_text(f"{CANARY} \r\n", encoding="utf-8")
    (tmp_path / "url").write_text("redis://h:1", encoding="utf-8")
    (tmp_path / "keys").write_text(f"{'k' * 16}\n\n{'l' * 16}\n", encoding="utf-8")
    config = load("l2: {url_file: url, password_file: password}\ncodec: {signing_keys_file: keys}\n")
    assert config.l2.password.get_secret_value() == f"{CANARY} "
    assert str(config.l2.url) == "redis://h:1"
    assert [key.get_secret_value()[0] for key in config.codec.signing_keys] == ["k", "l"]
    assert CacheConfig(**config.model_dump()).l2.password == config.l2.password


def test_a_secret_of_the_environment_covers_a_file_of_the_yaml(load):
    """The upper layer counts, in whichever of its two forms it gives the secret."""
    config = load("l2: {password_file: missing}", GREENCACHE__L2__PASSWORD=CANARY)
    assert config.l2.password.get_secret_value() == CANARY


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff" + CANARY.encode(), b"x" * 70_000])
def test_a_secret_file_that_cannot_serve_is_refused(tmp_path, content):
    """Missing, empty, not text, too large: the path is named, the text is not."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    assert f"the file {path} " in refused(CacheConfig, l2={"password_file": path})


def test_a_secret_given_twice_is_refused(load):
    """Nobody has to guess which one counts."""
    message = refused(load, f"l2: {{password: {CANARY}, password_file: x}}")
    assert "expected password or password_file, got both" in message


# ---- parts


def test_the_defaults_of_entries_are_options():
    """Only what the configuration decides is set; the ttl is the tiers' own matter unless given."""
    assert CacheConfig().defaults.options().ttl is UNSET
    config = CacheConfig(defaults={"ttl": "5m", "stale_ttl": "1h", "jitter": 0.1, "refresh_ahead": 0.8})
    assert config.defaults.options() == EntryOptions(
        ttl=300.0, stale_ttl=3_600.0, jitter=0.1, refresh_ahead=0.8
    )
    assert CacheConfig(defaults={"ttl": "never"}).defaults.options().ttl is None


def test_a_view_knows_its_columns():
    """A field is found in the column of its name, unless another is given."""
    view = ViewConfig(
        name="s.v", key="factor:{region}:{metric}", columns={"region": "code"}, value=["a", "b"]
    )
    assert view.key_columns == {"region": "code", "metric": "metric"}
    assert view.value == ("a", "b")
    assert ViewConfig(name="v", key="f:{r}", value="amount").value == "amount"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"name": ""}, "name of a view"),
        ({"name": "a.b.c"}, "name of a view"),
        ({"name": 'a"b'}, "name of a view"),
        ({"name": "x" * 64}, "name of a view"),
        ({"key": "plain"}, "a key template with fields"),
        ({"key": "{a}{b}"}, "key: "),
        ({"key": ""}, "key: "),
        ({"columns": {"regoin": "code"}}, "did you mean 'region'"),
        ({"columns": ["region"]}, "columns: expected a mapping"),
        ({"value": []}, "name of a column"),
        ({"value": ""}, "name of a column"),
        ({"value": ["a", 1]}, "name of a column"),
    ],
)
def test_a_view_that_cannot_be_is_refused(settings, reason):
    """Wrong names, templates and columns are refused when they are read."""
    assert reason in refused(ViewConfig, **{"name": "v", "key": "f:{region}", "value": "v", **settings})


def test_pickle_with_keys_is_allowed():
    """Signed pickles are what the keys are for."""
    assert CodecConfig(serializer="pickle", signing_keys=["k" * 16]).serializer == "pickle"


def test_our_errors_are_value_errors():
    """Who catches ValueError, as for any wrong argument, catches ours."""
    assert issubclass(ConfigurationError, GreencacheError | ValueError)


def test_a_configuration_opens_nothing():
    """No driver is imported, so nothing can be connected."""
    code = (
        "import sys, greencache.config as c; c.CacheConfig.from_urls(l2='redis://h', l4='postgresql://h/d');"
        "print(*{'redis', 'psycopg', 'tenacity', 'structlog'} & set(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        == "\n"
    )


def test_the_defaults_of_loads_are_options():
    """What nothing is said of is unset, so that it costs nothing."""
    options = CacheConfig().defaults.options()
    for name in ("beta", "negative_ttl", "retry_after", "soft_timeout", "hard_timeout"):
        assert getattr(options, name) is UNSET
    config = CacheConfig(
        defaults={
            "beta": 1.5,
            "negative_ttl": "30s",
            "retry_after": "5s",
            "soft_timeout": "100ms",
            "hard_timeout": "2s",
        }
    )
    options = config.defaults.options()
    assert (options.beta, options.refresh_ahead) == (1.5, UNSET)
    assert (options.negative_ttl, options.retry_after) == (30.0, 5.0)
    assert (options.soft_timeout, options.hard_timeout) == (0.1, 2.0)
    assert CacheConfig(defaults={"soft_timeout": 0}).defaults.options().soft_timeout == 0
    assert CacheConfig(defaults={"beta": 0, "refresh_ahead": 0.8}).defaults.options().refresh_ahead == 0.8


@pytest.mark.parametrize(
    "defaults",
    [
        {"beta": 1, "refresh_ahead": 0.8},
        {"beta": -1},
        {"beta": float("inf")},
        {"beta": float("nan")},
        {"retry_after": "-1s"},
        {"soft_timeout": "soon"},
        {"negative_ttl": -1},
    ],
)
def test_defaults_of_loads_that_cannot_be_are_refused(defaults):
    """Two ways to reload early are one too many."""
    refused(CacheConfig.from_mapping, {"defaults": defaults}, {})


def test_a_view_says_when_it_is_refreshed():
    """Durations as everywhere; the rules are checked where they are written."""
    view = {"name": "v", "key": "f:{id}", "value": "v"}
    refresh = {"every": "15m", "cron": "0 3 * * *", "timezone": "Europe/Vienna", "on": ["t"], "delay": "1s"}
    policy = ViewConfig(**view, refresh=refresh, after=["w"]).refresh.policy()
    assert (policy.every, policy.delay, policy.on) == (900.0, 1.0, ("t",))
    assert "cron" in refused(CacheConfig, l4={"views": [{**view, "refresh": {"cron": "at noon"}}]})
    assert "every, cron or on" in refused(CacheConfig, l4={"views": [{**view, "refresh": {}}]})
    assert "query" in refused(CacheConfig, l4={"views": [{**view, "when_old": "query"}]})
