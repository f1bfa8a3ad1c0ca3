"""Looking through materialized views."""

import contextlib

import pytest

from greencache.backends.postgres import PostgresManager
from greencache.events import EventKind
from greencache.keys import Pattern
from greencache.stats import TierCounters
from greencache.testing import FakeClock
from greencache.tiers.view import ViewSpec, ViewTier

VIEWS = b"""
create materialized view first as select n as id, n as value from generate_series(1, 2100) as n;
create unique index on first (id);
create materialized view second as select n as id, n as value from generate_series(1, 3) as n;
create unique index on second (id);
"""


@pytest.fixture
def events():
    """What was recorded."""

    class Events(list):
        record = list.append

    return Events()


@pytest.fixture
def make_tier(postgres_url, events):
    """Make tiers over a pool of one connection."""
    with contextlib.ExitStack() as stack:
        manager = PostgresManager(postgres_url, max_connections=1, timeout=5)
        stack.callback(manager.close)
        manager.execute(VIEWS)
        manager.install_schema()

        def make(*specs):
            return ViewTier(
                manager, specs, namespace="n", clock=FakeClock(), counters=TierCounters(), recorder=events
            )

        yield make


def spec(view, template, **options):
    """Return the description of a view."""
    return ViewSpec(name=view, template=template, value="value", **options)


def test_a_scan_of_many_rows_needs_one_connection(make_tier):
    """A pool of one is enough, for a look at hidden keys in between too."""
    tier = make_tier(spec("first", "f:{id}"))
    tier.drop_many(["f:7"])
    found = [key for keys in tier.scan_keys(Pattern("*")) for key in keys]
    assert len(found) == 2_099
    assert "f:7" not in found


def test_a_key_that_two_views_have_is_found_once(make_tier):
    """In the one that answers it."""
    tier = make_tier(spec("second", "f:{id}"), spec("first", "f:{id}"))
    found = [key for keys in tier.scan_keys(Pattern("f:?")) for key in keys]
    assert sorted(found) == ["f:1", "f:2", "f:3"]


def test_a_row_that_cannot_be_read_is_not_counted_by_a_look(make_tier, events):
    """A tool's findings are not the program's."""

    def refuse(**_):
        raise ValueError("no such row type")

    tier = make_tier(ViewSpec(name="first", template="f:{id}", value=["value"], row=refuse))
    assert tier.inspect_many(["f:1"])["f:1"].entry is None
    assert tier.counters.undecodable == 0
    assert events == []
    assert tier.get_many(["f:1"]) == {}
    assert [event.kind for event in events] == [EventKind.UNDECODABLE]
