"""greencache.config.units."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greencache.config import parse_duration, parse_optional_duration, parse_size
from greencache.errors import ConfigurationError

DECIMAL = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
BINARY = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


@given(
    st.integers(0, 10**12), st.sampled_from(sorted((DECIMAL | BINARY).items())), st.sampled_from(["", " "])
)
def test_a_size_is_its_number_times_its_unit(number, unit, space):
    """Decimal units are powers of 1000, binary ones of 1024, in any case of letters."""
    name, factor = unit
    for spelt in (name, name.lower(), name.upper()):
        assert parse_size(f"{number}{space}{spelt}") == number * factor


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5MB", 5_000_000),
        ("100MB", 100_000_000),
        ("10GB", 10**10),
        ("64KiB", 65_536),
        ("1.5kB", 1_500),
        ("7", 7),
    ],
)
def test_sizes_of_the_documentation(text, size):
    """The sizes that the files and guides use mean what they say."""
    assert parse_size(text) == size


@given(st.integers(0))
def test_a_whole_number_is_bytes(size):
    """A number without a unit is bytes."""
    assert parse_size(size) == size


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "MB",
        "-5MB",
        "5m",
        "5 elephants",
        "0.5B",
        "1.0001kB",
        "5MB!",
        "\u0665MB",
        "1e6",
        "inf",
        -1,
        1.5,
        True,
        None,
        [5],
    ],
)
def test_what_is_no_size_is_refused(wrong):
    """The message says what a size looks like and what came."""
    with pytest.raises(ConfigurationError, match="a size such as 5MB"):
        parse_size(wrong)


@given(st.integers(0, 10**6), st.sampled_from(sorted(SECONDS.items())))
def test_a_duration_is_its_number_times_its_unit(number, unit):
    """All units are exact to the nearest float."""
    name, factor = unit
    assert parse_duration(f"{number}{name}") == pytest.approx(number * factor, rel=1e-15)


@given(st.floats(0, 1e9))
def test_a_plain_number_is_seconds(seconds):
    """A number without a unit is seconds."""
    assert parse_duration(seconds) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300s", 300.0),
        ("5m", 300.0),
        ("1h", 3_600.0),
        ("250ms", 0.25),
        ("1h30m", 5_400.0),
        ("1d 12h", 129_600.0),
    ],
)
def test_durations_of_the_documentation(text, seconds):
    """The durations that the files and guides use mean what they say, to the last bit."""
    assert parse_duration(text) == seconds


def test_a_duration_from_the_environment_is_seconds_without_a_unit():
    """Environment variables are text, also when they hold a number."""
    assert parse_duration("0.5") == 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        " ",
        "s",
        "5M",
        "30m1h",
        "1m1m",
        "-1s",
        "never",
        "nan",
        "1:30",
        -1,
        math.nan,
        math.inf,
        10**400,
        True,
        None,
    ],
)
def test_what_is_no_duration_is_refused(wrong):
    """The message says what a duration looks like."""
    with pytest.raises(ConfigurationError, match="a duration such as 250ms"):
        parse_duration(wrong)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text):
    """No text raises anything but our error, and none is negative."""
    for parse in (parse_size, parse_duration):
        with contextlib.suppress(ConfigurationError):
            assert parse(text) >= 0


def test_a_long_text_is_cut_in_the_message():
    """A message stays short whatever was given."""
    with pytest.raises(ConfigurationError) as caught:
        parse_size("9" * 100_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("never", [None, "never", "Never", " never "])
def test_never_is_no_limit(never):
    """`never` and null both mean that there is no limit."""
    assert parse_optional_duration(never) is None
    assert parse_optional_duration("5m") == 300.0
