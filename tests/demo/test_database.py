"""The job's own database, on a real server."""

from decimal import Decimal

import pytest

from greencache.demo.database import Database
from greencache.demo.figures import FACTOR_KEY, INTENSITY_KEY, REFERENCE_SOURCE, SOURCES, read_factors
from greencache.demo.ledger import build_ledger
from greencache.demo.lookup import Views
from greencache.demo.outcome import add_up

ROWS = 3_000


@pytest.fixture(scope="module")
def factors():
    """All figures."""
    return read_factors()


@pytest.fixture(scope="module")
def ledger(factors):
    """The first rows of the ledger, and all of the smallest grids'."""
    return build_ledger(factors)[:ROWS]


@pytest.fixture
def database(postgres_url, factors, ledger):
    """The job's database, filled."""
    with Database(postgres_url) as database:
        database.create(factors, ledger)
        yield database


def test_every_figure_is_loaded_by_its_key(database, factors):
    """All oddities of real names survive the way through keys and SQL, digit by digit."""
    loaded = database.load_factors([factor.key for factor in factors])
    assert len(loaded) == len(factors)
    assert all(f"{loaded[factor.key]:f}" == f"{factor.value:f}" for factor in factors)


def test_keys_without_a_figure_are_left_out(database, factors):
    """A batch with an unknown key loads the others."""
    unknown = FACTOR_KEY.format_map(dict.fromkeys(FACTOR_KEY.fields, "1"))
    known = factors[0].key
    assert database.load_factors([unknown, known]) == {known: factors[0].value}


def test_all_units_become_grams_per_kilowatt_hour(database):
    """Four sources, four units, one grid: they disagree, but not by a factor of a thousand."""
    found = {source: database.intensity(source, "CHN") for source in SOURCES}
    assert found == {
        "codecarbon-3.3.2": Decimal("582.317"),
        "carbontracker-2.4.7": Decimal("559.5517"),
        "eco2ai-0.3.12": Decimal("549.534"),
        "ecologits-0.11.3": Decimal("525.34000"),
    }
    # 713.976 pounds a megawatt hour.
    assert database.intensity(REFERENCE_SOURCE, "US-AL") == Decimal("713.976") * Decimal("0.45359237")


def test_a_grid_that_a_source_does_not_know_is_none(database):
    """Namibia's code is NA, which one source has read as missing."""
    assert database.load_intensity(INTENSITY_KEY.format(source="carbontracker-2.4.7", region="NAM")) is None


def test_one_join_finds_what_rows_add_up_to(database, ledger):
    """The emissions without a cache are right, fallback included, to the last digit."""

    def intensity(row):
        own = database.intensity(row.source, row.region)
        return database.intensity(REFERENCE_SOURCE, row.region) if own is None else own

    grams = add_up(row.kwh * intensity(row) for row in ledger)
    totals = database.direct_emissions(ROWS)
    assert add_up(total.grams for total in totals.values()) == grams
    assert sum(total.kwh for total in totals.values()) == sum(row.kwh for row in ledger)


def test_workers_share_the_ledger_without_gap_or_overlap(database, ledger):
    """Each row has exactly one worker."""
    shares = [database.activities(ROWS, share, 3) for share in range(3)]
    assert sorted(row for share in shares for row in share) == ledger


def test_a_corrected_figure_is_old_in_the_view_until_it_is_refreshed(database, postgres_url):
    """The difference that the demo's correction stands on."""
    grid = (REFERENCE_SOURCE, "CHN")
    views = Views(postgres_url, "demo")
    views.create()
    key = database.correct_intensity(*grid, Decimal("600.5"))
    assert FACTOR_KEY.parse(key)["region"] == "CHN"
    assert database.load_factors([key]) == {key: Decimal("600.5")}
    assert database.intensity(*grid) == Decimal("600.5")
    assert database.intensity_in_view(*grid) == Decimal("582.317")
    views.refresh()
    assert database.intensity_in_view(*grid) == Decimal("600.5")
    views.close()
