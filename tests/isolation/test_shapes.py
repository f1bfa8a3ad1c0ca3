"""What values are made of."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greencache.isolation.shapes import Shape, copied_tree, shape_of
from tests.isolation.values import GRAPHS, IMMUTABLE, TREES, Closed, Point

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
KEYS = st.text() | st.integers() | st.tuples(st.integers(), st.text())
NESTED = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(KEYS, inner)
        | st.sets(KEYS)
        | st.tuples(inner, inner)
        | st.frozensets(KEYS)
    ),
    max_leaves=30,
)


def containers_in(value):
    """Yield what in a value can be changed."""
    if isinstance(value, (dict, list, set)):
        yield value
    if isinstance(value, dict):
        value = value.values()
    if not isinstance(value, (str, bytes, int, float, type(None))):
        for item in value:
            yield from containers_in(item)


@pytest.mark.parametrize("value", IMMUTABLE, ids=repr)
def test_what_cannot_be_changed_is_known(value):
    """All the way down."""
    assert shape_of(value) is Shape.IMMUTABLE


@pytest.mark.parametrize("value", TREES, ids=repr)
def test_plain_containers_are_a_tree(value):
    """Each in one place."""
    assert shape_of(value) is Shape.TREE


@pytest.mark.parametrize("value", GRAPHS, ids=repr)
def test_all_else_is_a_graph(value):
    """What may have attributes, and containers that are not the built-in ones."""
    assert shape_of(value) is Shape.GRAPH


def test_what_is_in_two_places_or_within_itself_is_a_graph():
    """A copy by branches would make two of it, or have no end."""
    twice = [1]
    within = []
    within.append(within)
    assert shape_of([twice, twice]) is Shape.GRAPH
    assert shape_of(within) is Shape.GRAPH
    assert shape_of((twice, {"x": twice})) is Shape.GRAPH


def test_a_frozen_class_with_more_than_its_fields_can_be_changed():
    """Somebody has put an attribute past the class's own guard, and may do so again."""
    value = Closed("x")
    object.__setattr__(value, "more", [])
    assert shape_of(value) is Shape.GRAPH


def test_a_walk_through_shared_tuples_has_an_end():
    """Sixty levels of two references are 2**60 paths."""
    value = ([],)
    for _ in range(60):
        value = (value, value)
    assert shape_of(value) is Shape.GRAPH or shape_of(value) is Shape.TREE


@settings(deadline=None)
@given(NESTED)
def test_a_copy_is_equal_and_shares_nothing_that_can_be_changed(value):
    """Whatever is nested in whatever."""
    shape = shape_of(value)
    copied = copied_tree(value) if shape is Shape.TREE else copy.deepcopy(value)
    assert copied == value
    assert type(copied) is type(value)
    own = {id(each) for each in containers_in(value)}
    assert own.isdisjoint(id(each) for each in containers_in(copied))
    assert (shape is Shape.IMMUTABLE) == (not own)


def test_what_is_immutable_is_not_copied():
    """Neither leaves nor tuples of leaves."""
    pair, text, point = (1, (2,)), "x" * 100, Point(1, 2)
    copied = copied_tree({"pair": pair, "texts": [text], "point": point})
    assert copied["pair"] is pair
    assert copied["texts"][0] is text
    assert copied["point"] is point
