"""`greencache health`."""

import json

import pytest
from typer.testing import CliRunner

from greencache import CacheConfig, CacheManager
from greencache.cli.app import app
from greencache.errors import TierUnavailableError
from greencache.health.monitor import shared_monitor
from greencache.testing import FakeClock, wait_until
from greencache.tiers.tokens import process_name


def run(*words):
    """Run the command."""
    return CliRunner().invoke(app, ["health", *map(str, words)])


UNBREAKABLE = "breaker: {failures: 1000000, patience: 1d}"
"""To move the clock while a thread waits for an answer is as if the server had hung for so long. By a clock
that stands still then, a breaker that has opened is never tried again."""


@pytest.fixture
def config(tmp_path):
    """Write a configuration with a Redis."""

    def write(url, more=""):
        path = tmp_path / "cache.yaml"
        settings = ", ".join(filter(None, [f"url: '{url}'", "server: {maxmemory: 77MB}", more]))
        path.write_text(f"namespace: shop\nl3: {{{settings}}}\n")
        return path

    return write


def test_it_tells_how_every_tier_is_now(redis_servers, config):
    """With what differs from the settings; in JSON too."""
    server = redis_servers(maxmemory="100mb")
    path = config(server.url)
    done = run("--config", path)
    assert done.exit_code == 0, done.output
    (l3,) = [line for line in done.output.splitlines() if line.split()[:1] == ["L3"]]
    assert " up " in l3
    assert "of 105 MB" in l3
    assert "master" in l3
    assert f"L3: 127.0.0.1:{server.port} has '104857600': maxmemory is to be '77000000'" in done.output
    plain = json.loads(run("--config", path, "--json").stdout)
    assert plain["tiers"]["L3"]["detail"]["drift"]
    server.kill()
    done = run("--config", path)
    assert done.exit_code == 1
    assert "down" in done.output


def _noted(cache):
    """Return how many checks of L3 are noted; none if a busy machine took too long to say."""
    try:
        history = cache.fleet_health_history()
    except TierUnavailableError:
        return None
    return len(next(iter(history.values()), {}).get(3, ()))


def test_it_tells_what_a_running_process_has_found(redis_servers, config):
    """Of the last hour, from the Redis where that process notes it."""
    server, clock = redis_servers(), FakeClock()
    path = config(server.url, UNBREAKABLE)
    assert "nothing was noted" in run("--config", path, "--history").output
    with CacheManager.from_config(CacheConfig.load(path), clock=clock) as cache:
        cache.set("a", 1)
        for count in (1, 2):
            clock.advance(30.0)
            shared_monitor().nudge()
            wait_until(lambda count=count: _noted(cache) == count, reason="it was checked and noted")
        done = run("--config", path, "--history", "--step", "1h")
        assert done.exit_code == 0, done.output
        assert f"L3, checked by {process_name()}" in done.output
        (line,) = [line for line in done.output.splitlines() if " up " in line]
        assert line.split()[2] == "2"
        plain = json.loads(run("--config", path, "--history", "--json").stdout)
        found = [each["latency_ms"] for each in plain["L3"][process_name()]]
        assert found == [sample.latency_ms for sample in cache.health_history()[3]]


def test_who_cannot_be_asked_is_said(redis_servers, config):
    """In one line, with the exit status 2."""
    server = redis_servers()
    path = config(server.url)
    server.kill()
    for words in (
        ("--config", path, "--history"),
        ("--config", "no-such.yaml"),
        ("--config", path, "--history", "--step", "x"),
    ):
        done = run(*words)
        assert done.exit_code == 2
        assert len(done.output.splitlines()) == 1
