"""The figures and their keys."""

from collections import Counter
from decimal import Decimal

import pytest

from greencache.demo.figures import FACTOR_KEY, INTENSITY_KEY, REFERENCE_SOURCE, SOURCES, read_factors


@pytest.fixture(scope="module")
def factors():
    """All figures."""
    return read_factors()


def test_every_figure_has_a_key_of_its_own(factors):
    """Nothing that makes two figures differ is lost on the way into the key."""
    assert len(factors) == 7_992
    assert len({factor.key for factor in factors}) == len(factors)


def test_every_figure_is_found_again_from_its_key(factors):
    """A key gives back the fields it was made of, whatever signs are in them."""
    for factor in factors:
        expected = {name: str(getattr(factor, name)) for name in FACTOR_KEY.fields}
        assert FACTOR_KEY.parse(factor.key) == expected


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("region", "RUS/Stavropol\u2019 Kray"),
        ("region", "RUS/Bryansk Oblast "),
        ("item", "(Vans, Pickup Trucks, SUVs)"),
        ("item", "Biodiesel (100%)"),
        ("item", "Naphtha (<401 deg F)"),
        ("year", "≤1980"),
        ("year", "1973-1974"),
        ("year", ""),
    ],
)
def test_odd_names_reach_the_key_unchanged(factors, field, text):
    """Nothing is trimmed, transliterated or filled in."""
    odd = [factor for factor in factors if getattr(factor, field) == text]
    assert odd
    assert all(FACTOR_KEY.parse(factor.key)[field] == text for factor in odd)


def test_repeated_figures_are_numbered_and_none_is_lost(factors):
    """27 keys repeat without the ordinal, 19 of them with different values."""
    values = {}
    for factor in factors:
        fields = {name: getattr(factor, name) for name in FACTOR_KEY.fields if name != "ordinal"}
        values.setdefault(tuple(fields.values()), []).append((factor.ordinal, factor.value))
    repeated = [found for found in values.values() if len(found) > 1]
    assert len(repeated) == 27
    assert sum(len({value for _, value in found}) > 1 for found in repeated) == 19
    assert all([ordinal for ordinal, _ in found] == list(range(1, len(found) + 1)) for found in repeated)


def test_values_keep_all_their_digits(factors):
    """A value is read as it is written, not through a float."""
    assert Decimal("0.00045000000000000004") in {factor.value for factor in factors}
    assert str(factors[0].value) == "561.224"


def test_the_reference_source_knows_every_region_with_generation(factors):
    """So a row whose own source lacks its region has somewhere to fall back to."""
    generating = {factor.region for factor in factors if factor.category == "generation"}
    known = {
        factor.region
        for factor in factors
        if factor.source == REFERENCE_SOURCE and factor.metric == "carbon_intensity"
    }
    assert len(generating) == 213
    assert generating <= known


def test_some_regions_are_missing_from_other_sources(factors):
    """The fallback is needed: a negative answer occurs in real figures."""
    generating = {factor.region for factor in factors if factor.category == "generation"}
    missing = Counter(
        source
        for source in SOURCES
        for region in generating - {factor.region for factor in factors if factor.source == source}
    )
    assert missing == {"carbontracker-2.4.7": 1, "eco2ai-0.3.12": 5}


def test_intensity_keys_name_source_and_region():
    """The key of the ledger's lookup reads well and comes apart again."""
    key = INTENSITY_KEY.format(source="eco2ai-0.3.12", region="AUS/Victoria")
    assert key == "intensity:eco2ai-0.3.12:AUS/Victoria"
    assert INTENSITY_KEY.parse(key) == {"source": "eco2ai-0.3.12", "region": "AUS/Victoria"}
