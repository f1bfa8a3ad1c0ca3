"""When views are due."""

import datetime as dt
import math

import pytest

from greencache.errors import ConfigurationError, InvalidOptionError
from greencache.tiers.view_plan import plan_views
from greencache.tiers.view_policy import RefreshPolicy, ViewRecord
from greencache.tiers.view_spec import ViewSpec


def at(text):
    """Return a moment in seconds since 1970."""
    return dt.datetime.fromisoformat(text).timestamp()


def record(began, now, **more):
    """Return what is known of a view."""
    return ViewRecord(began=at(began), now=at(now), **more)


def test_an_interval_runs_from_one_beginning_to_the_next():
    """However long the refresh took."""
    policy = RefreshPolicy(every=60)
    known = record("2026-01-01T00:00:00Z", "2026-01-01T00:00:45Z")
    assert policy.seconds_until_due(known) == 15
    assert policy.seconds_until_due(record("2026-01-01T00:00:00Z", "2026-01-01T00:09:00Z")) == 0


@pytest.mark.parametrize(
    ("began", "now", "seconds"),
    [
        # The clocks go forward at two: three o'clock comes an hour early.
        ("2026-03-28T03:00:00+01:00", "2026-03-29T01:30:00+01:00", 1800),
        # They go back at three: three o'clock comes once, an hour late.
        ("2026-10-24T03:00:00+02:00", "2026-10-25T02:30:00+02:00", 5400),
        ("2026-06-01T02:59:00+02:00", "2026-06-01T04:00:00+02:00", 0),
    ],
)
def test_a_cron_expression_heeds_the_time_zone(began, now, seconds):
    """Also where its clocks are changed; what was missed is made up for, once."""
    policy = RefreshPolicy(cron="0 3 * * *", timezone="Europe/Vienna")
    assert policy.seconds_until_due(record(began, now)) == seconds


def test_a_change_makes_it_due_after_a_delay():
    """Without one, only a change that comes can."""
    policy = RefreshPolicy(on=["t"], delay=5)
    assert policy.seconds_until_due(record("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")) == math.inf
    changed = record("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", wished=2)
    assert policy.seconds_until_due(changed) == 3


def test_whichever_rule_comes_first_makes_it_due():
    """And after failures, none does for a while."""
    policy = RefreshPolicy(every=3600, cron="* * * * *", on=["t"])
    known = {"began": "2026-01-01T00:00:00Z", "now": "2026-01-01T00:00:20Z"}
    assert policy.seconds_until_due(record(**known)) == 40
    assert policy.seconds_until_due(record(**known, wished=1)) == 0
    assert policy.seconds_until_due(record(**known, wished=1, retry_in=7)) == 7


@pytest.mark.parametrize("policy", [{"every": 60}, {"cron": "0 3 * * *"}, {"on": ["t"]}])
def test_what_was_never_refreshed_is_due(policy):
    """Nobody knows what has changed since it was made."""
    assert RefreshPolicy(**policy).seconds_until_due(ViewRecord(now=1e9)) == 0


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"on": "t"},
        {"every": 0},
        {"every": 60, "timeout": 0},
        {"cron": "at noon"},
        {"cron": "* * * * * *"},
        {"cron": "0 0 31 2 *"},
        {"cron": "61 * * * *"},
        {"cron": 5},
        {"cron": "0 3 * * *", "timezone": "Atlantis"},
        {"cron": "0 3 * * *", "timezone": "../etc/passwd"},
    ],
)
def test_rules_that_make_no_sense_are_refused(rules):
    """When they are declared, not when they should come true."""
    with pytest.raises((ConfigurationError, InvalidOptionError), match="expected"):
        RefreshPolicy(**rules)


# -- order ---------------------------------------------------------------------------------------------


def spec(name, **more):
    """Return a view."""
    return ViewSpec(name=name, template=name + ":{id}", value="v", **more)


def test_views_come_after_those_that_they_are_made_of():
    """Declared, or as what makes them due."""
    specs = [
        spec("top", refresh=RefreshPolicy(on=["middle", "t"])),
        spec("middle", after=["base"]),
        spec("base", query="select 1"),
        spec("other"),
    ]
    plans = {plan.name: plan for plan in plan_views(specs)}
    order = list(plans)
    assert order.index("base") < order.index("middle") < order.index("top")
    assert (plans["top"].tables, plans["middle"].dependents) == (("t",), ("top",))
    assert plans["base"].query == "select 1"


def test_a_circle_is_refused():
    """With the views that make it."""
    specs = [spec("a", after=["b"]), spec("b", after=["c"]), spec("c", after=["a"])]
    with pytest.raises(ConfigurationError, match=r"circle.* (a|b|c) is made of (a|b|c) is made of"):
        plan_views(specs)
    with pytest.raises(ConfigurationError, match="a is made of a"):
        plan_views([spec("a", after=["a"])])


def test_what_contradicts_itself_is_refused():
    """Views that nobody describes, and two descriptions of one."""
    with pytest.raises(ConfigurationError, match="'missing'"):
        plan_views([spec("a", after=["missing"])])
    policies = [RefreshPolicy(every=1), RefreshPolicy(every=2)]
    with pytest.raises(ConfigurationError, match="one refresh of the view a"):
        plan_views([spec("a", refresh=policy) for policy in policies])


@pytest.mark.parametrize(
    "wrong", [{"when_old": "wait"}, {"when_old": "query"}, {"after": "base"}, {"refresh": "daily"}]
)
def test_a_view_that_makes_no_sense_is_refused(wrong):
    """When it is declared."""
    with pytest.raises(ConfigurationError, match="expected"):
        spec("a", **wrong)
