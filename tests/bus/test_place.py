"""Where in the log a listener is, and was."""

import pytest

from greencache.bus.place import Place
from greencache.bus.stream import Position
from greencache.testing import FakeClock


def position(number):
    """Return the position of a message."""
    return Position(b"%d-0" % number, b"mark")


@pytest.fixture
def clock():
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def place(clock):
    """Nowhere yet."""
    return Place(clock)


def test_it_knows_where_it_was_at_a_moment(place, clock):
    """And nothing of moments before it was anywhere."""
    began = clock.now()
    assert place.at(began) is None
    for number in range(1, 6):
        clock.advance(10)
        place.move_to(position(number))
    assert place.at(began + 9) is None
    assert place.at(began + 25) == position(2)
    assert place.at(began + 30) == position(3)
    assert place.at(clock.now()) == place.position == position(5)


def test_of_many_moves_in_a_second_the_last_one_is_known(place, clock):
    """However few are kept."""
    for number in range(1, 101):
        clock.advance(0.001)
        place.move_to(position(number))
    clock.advance(60)
    assert place.at(clock.now() - 30) == position(100)


def test_what_it_remembers_is_bounded(place, clock):
    """Of moments too long ago it gives a later place, which is asked for in vain at worst."""
    began = clock.now()
    for number in range(1, 2_001):
        clock.advance(1)
        place.move_to(position(number))
    assert len(place._passed) <= 600
    assert place.at(began).number > 1_000
    assert place.at(clock.now() - 100).number == 1_900


def test_nothing_is_known_of_a_log_that_was_lost(place, clock):
    """Another one's positions would be taken for its own."""
    place.move_to(position(7))
    place.lose()
    assert (place.position, place.at(clock.now()), place.number) == (None, None, 7)
