"""`greencache db`."""

import json
import urllib.parse

import psycopg
import pytest
from typer.testing import CliRunner

from greencache.cli.app import app


@pytest.fixture
def run(postgres_url):
    """Run a command of the group on an empty database."""
    return lambda *words: CliRunner().invoke(app, ["db", *words, "--url", postgres_url])


@pytest.fixture
def database(postgres_url):
    """A connection to a database with a table."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("create table public.factors (region text, code text)")
        yield connection


def test_migrate_may_be_run_twice(run):
    """The second time there is nothing to do."""
    assert "applied 0003_outbox" in run("migrate").output
    assert run("migrate").output == "up to date\n"


def test_a_table_is_watched_listed_and_unwatched(run, database):
    """And what is wrong is one line, with the exit status 1."""
    words = ("--key", "factor:{region}:{metric}", "--tag", "region:{region}", "--column", "metric=code")
    done = run("watch", "factors", *words, "--namespace", "shop")
    assert done.exit_code == 0, done.output
    database.execute("insert into public.factors values ('DE', 'co2')")
    query = "select namespace, keys, tags from greencache.outbox"
    assert database.execute(query).fetchall() == [("shop", ["factor:DE:co2"], ["region:DE"])]
    listed = " ".join(run("watches").output.split())
    assert "public.factors shop key factor:{region}:{metric} 1 tag region:{region}" in listed
    assert run("unwatch", "factors").exit_code == 1
    assert run("unwatch", "factors", "--namespace", "shop").exit_code == 0
    assert "no table is watched" in run("watches").output
    refused = run("watch", "factors", "--key", "factor:{area}")
    assert refused.exit_code == 1
    assert "expected columns ['area']" in refused.output


def test_the_database_comes_from_the_configuration_too(postgres_url, database, tmp_path):
    """With its namespace and its schema."""
    path = tmp_path / "cache.yaml"
    path.write_text(f"namespace: shop\nl4:\n  url: {postgres_url}\n  schema_name: facts\n", encoding="utf-8")
    invoke = CliRunner().invoke
    done = invoke(app, ["db", "watch", "factors", "--tag", "all", "--config", str(path)])
    assert done.exit_code == 0, done.output
    database.execute("insert into public.factors values ('DE', 'co2')")
    assert database.execute("select namespace, tags from facts.outbox").fetchall() == [("shop", ["all"])]


def test_without_a_database_it_is_said_what_to_give(tmp_path):
    """A URL, or a configuration that has one, and not both."""
    path = tmp_path / "cache.yaml"
    path.write_text("l1: {enabled: true}\n", encoding="utf-8")
    for words in (("--config", str(path)), ("--config", str(path), "--url", "postgresql://localhost/x")):
        done = CliRunner().invoke(app, ["db", "watches", *words])
        assert done.exit_code == 1
        assert "--url" in done.output


def test_a_password_beside_the_url_is_used(postgres_url, tmp_path):
    """As the cache itself uses it."""
    parts = urllib.parse.urlsplit(postgres_url)
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    config = tmp_path / "cache.yaml"
    config.write_text(
        json.dumps({"l4": {"url": place, "username": parts.username, "password": parts.password}})
    )
    done = CliRunner().invoke(app, ["db", "migrate", "--config", str(config)])
    assert "applied 0003_outbox" in done.output
