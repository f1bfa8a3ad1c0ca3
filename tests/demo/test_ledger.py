"""The ledger of activities."""

import itertools
from collections import Counter
from decimal import Decimal

import pytest

from greencache.demo.figures import SOURCES, read_factors
from greencache.demo.ledger import ROW_KWH, SUMS, build_ledger


@pytest.fixture(scope="module")
def factors():
    """All figures."""
    return read_factors()


@pytest.fixture(scope="module")
def ledger(factors):
    """The whole ledger."""
    return build_ledger(factors)


def test_each_kilowatt_hour_is_counted_once(factors, ledger):
    """The rows of each region add up to its published total, which the ledger leaves out."""
    generated = Counter()
    for row in ledger:
        generated[row.region] += row.kwh
    totals = {f.region: f.value for f in factors if f.category == "generation" and f.item == "total"}
    for region, twh in totals.items():
        # Publishers add floats: 9459.589999999998.
        assert Decimal(generated[region]) == (round(twh, 6) * 1_000_000_000)


def test_no_sum_is_among_the_rows(ledger):
    """Only parts are counted."""
    assert not SUMS & {row.fuel for row in ledger}


def test_rows_hold_a_tenth_of_a_terawatt_hour_at_most(ledger):
    """Some 300,000 rows, all full but the rest of each region and fuel."""
    assert 290_000 < len(ledger) < 300_000
    assert max(row.kwh for row in ledger) == ROW_KWH
    assert min(row.kwh for row in ledger) > 0
    rests = Counter((row.region, row.fuel) for row in ledger if row.kwh < ROW_KWH)
    assert max(rests.values()) == 1


def test_the_ledger_is_the_same_each_time(factors, ledger):
    """Two machines that run the demo do the same work."""
    assert build_ledger(factors) == ledger
    assert [row.number for row in ledger] == list(range(len(ledger)))


def test_the_order_is_mixed(ledger):
    """Neighbouring rows seldom share region and source, so that a cache has to remember."""
    same = sum(a[1:4] == b[1:4] for a, b in itertools.pairwise(ledger))
    assert same < len(ledger) / 20


def test_sources_take_turns(ledger):
    """Each source sees a quarter of the world."""
    counts = Counter(row.source for row in ledger)
    assert set(counts) == set(SOURCES)
    assert max(counts.values()) - min(counts.values()) <= 1
