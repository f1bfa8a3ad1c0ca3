"""The core's state machines under explored schedules of real threads: no violation, no deadlock."""

import os
import re

import pytest

from . import caches, drops, flights, gates, journals, memory, naive, stamps, workers
from .harness import Scene, explore
from .mutations import MUTATIONS

MODULES = (caches, drops, flights, gates, journals, memory, stamps, workers)
SCENES = [
    each
    for module in MODULES
    for each in vars(module).values()
    if isinstance(each, type) and issubclass(each, Scene) and each.__module__ == module.__name__
]
IS_LONG = bool(os.environ.get("GREENCACHE_TEST_LONG"))
SCHEDULES = 400 if IS_LONG else 80
"""In a long run more than 10^4 altogether."""
ENOUGH_TO_FIND = 1_000
"""A broken promise must show in so many schedules."""


@pytest.mark.timeout(1_200 if IS_LONG else 120)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_no_schedule_breaks_a_promise(scene, record):
    """In none of the schedules explored is anything broken, and in none are threads stuck."""
    schedules = SCHEDULES // scene.cost
    report = explore(scene, schedules)
    record(scene.__name__, report)
    assert not report.violation, report.violation
    assert report.schedules >= schedules


@pytest.mark.parametrize("scene", [naive.NaiveFlight, naive.NaiveCache, naive.NaiveGate, naive.TwoLocks])
def test_naive_code_is_found_out(scene, record):
    """What everybody writes first fails in the same explorer, so that its silence says something."""
    report = explore(scene, ENOUGH_TO_FIND)
    record(scene.__name__, report)
    assert report.violation, f"expected a violation in {report.schedules} schedules"


@pytest.mark.parametrize("name", MUTATIONS)
def test_without_a_guard_a_schedule_breaks_a_promise(name, record):
    """The same scene has no violation with the guard in place."""
    mutation = MUTATIONS[name]
    with mutation.applied():
        report = explore(mutation.scene, ENOUGH_TO_FIND)
    record(re.sub(r"\W+", "-", name), report)
    assert report.violation, f"expected a violation where {name}, in {report.schedules} schedules"
