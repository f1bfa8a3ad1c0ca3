"""How durations, sizes and hostile text look in a terminal."""

import pytest

from greencache.inspection.text import block, duration, printable, size_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "ever"),
        (0, "0 ms"),
        (0.3504, "350 ms"),
        (4.26, "4.3 s"),
        (252, "4 min 12 s"),
        (240, "4 min"),
        (3_601, "1 h"),
        (90_061, "1 d 1 h"),
        (-75, "-1 min 15 s"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds, text):
    """Nobody reads 90061.2 seconds."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (4_100, "4.1 kB"), (5_000_000, "5.0 MB"), (10**10, "10.0 GB")],
)
def test_a_size_has_its_largest_unit(size, text):
    """As sizes are written in configuration files."""
    assert size_text(size) == text


def test_text_cannot_move_the_cursor():
    """What is not printable is escaped, what is stays."""
    assert printable("Zürich:電力") == "Zürich:電力"
    assert printable("a\x1b[2J\nb") == "a\\x1b[2J\\nb"
    assert block("t", [("l", "x\r")]) == ["t", "    l          x\\r"]
