"""The README's examples run, and its commands are the ones that are used."""

import pathlib
import re

import psycopg
import pytest

from greencache import TableWatcher

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_runs(number, redis_servers, postgres_url):
    """Each example runs by itself, on real servers in place of those that it names."""
    example = EXAMPLES[number]
    if "l2=" in example:
        example = example.replace("redis://localhost:6379/0", redis_servers().url)
        example = example.replace("redis://cache.internal:6379/0", redis_servers().url)
    example = example.replace("postgresql://localhost/facts", postgres_url)
    if "ViewSpec" in example:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(
                "CREATE MATERIALIZED VIEW factor_view AS"
                " SELECT 'DE'::text AS region, 'co2'::text AS metric, 381.0::float8 AS value"
            )
            connection.execute("CREATE UNIQUE INDEX ON factor_view (region, metric)")
        example += "assert cache.get('factor:DE:co2') == 381.0\ncache.close()\n"
    if "cache.postgres" in example:
        for command in re.findall(r'^    psql \S+ -c "(.*)"$', README, re.MULTILINE):
            with psycopg.connect(postgres_url, autocommit=True) as connection:
                connection.execute(command)
        with TableWatcher(postgres_url, namespace="shop") as watcher:
            watcher.watch("factors", keys=["factor:{region}:{metric}"], tags=["region:{region}"])
        example += "cache.close()\n"
    # A module of its own: the example's functions are named after it.
    exec(compile(example, f"README example {number}", "exec"), {"__name__": f"readme_{number}"})  # noqa: S102


def test_the_commands_are_there_once():
    """CI reads the test command from the README; the other is for people."""
    for purpose in ("run the main job", "run the tests"):
        assert len(re.findall(rf"^    .*# set up and {purpose}$", README, re.MULTILINE)) == 1


def test_links_lead_somewhere():
    """Relative links point to files of the project."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
