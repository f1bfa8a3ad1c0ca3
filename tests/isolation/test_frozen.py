"""Values that cannot be changed."""

import copy
import json
import pickle

import pytest
from hypothesis import given, settings

from greencache.errors import SharedValueError
from greencache.isolation.frozen import FrozenDict, FrozenList, FrozenSet, Unfreezable, freeze, thaw
from tests.isolation.test_shapes import NESTED, containers_in
from tests.isolation.values import GRAPHS, IMMUTABLE, Point

BUILT_IN = {FrozenDict: dict, FrozenList: list, FrozenSet: set}
READING = {
    dict: {"copy", "fromkeys", "get", "items", "keys", "values"},
    list: {"copy", "count", "index"},
    set: {
        "copy", "difference", "intersection", "isdisjoint", "issubset", "issuperset", "symmetric_difference",
        "union",
    },
}  # fmt: skip
CHANGES = {
    FrozenDict: ["__setitem__", "__delitem__", "__ior__"],
    FrozenList: ["__setitem__", "__delitem__", "__iadd__", "__imul__"],
    FrozenSet: ["__ior__", "__iand__", "__isub__", "__ixor__"],
}


@pytest.mark.parametrize("kind", BUILT_IN)
def test_every_method_that_changes_is_refused(kind):
    """All that the built-in class has and that does not only read: those of later Pythons too."""
    built_in = BUILT_IN[kind]
    public = {name for name in vars(built_in) if not name.startswith("_")}
    for name in [*sorted(public - READING[built_in]), *CHANGES[kind]]:
        with pytest.raises(SharedValueError, match="deepcopy"):
            getattr(kind(), name)()


def test_statements_that_change_are_refused():
    """As type errors, like those of a tuple."""
    value = freeze({"list": [1], "set": {1}})
    with pytest.raises(TypeError, match="read only"):
        value["new"] = 1
    with pytest.raises(TypeError):
        del value["list"]
    with pytest.raises(TypeError):
        value["list"] += [2]
    with pytest.raises(TypeError):
        value["set"] |= {2}
    with pytest.raises(AttributeError):
        value.attribute = 1
    assert value == {"list": [1], "set": {1}}


@settings(deadline=None)
@given(NESTED)
def test_a_frozen_value_reads_as_the_original(value):
    """Equal, of the same kinds to `isinstance`, frozen all the way, and thawed to the original again."""
    frozen = freeze(value)
    assert frozen == value
    assert value == frozen
    assert isinstance(frozen, type(value))
    assert all(type(each) in BUILT_IN for each in containers_in(frozen))
    thawed = thaw(frozen)
    assert thawed == value
    assert not [each for each in containers_in(thawed) if type(each) in BUILT_IN]


def test_others_read_it_as_what_it_was():
    """JSON, pattern matching, unpacking, format strings."""
    value = freeze({"name": "Ada", "tags": ["a", "b"], "n": {"x": [1.5]}})
    assert json.loads(json.dumps(value)) == value
    assert dict(**value)["tags"][1] == "b"
    assert f"{value}" == "{'name': 'Ada', 'tags': ['a', 'b'], 'n': {'x': [1.5]}}"
    match value:
        case {"tags": [first, *_]}:
            assert first == "a"
        case _:
            pytest.fail("a frozen dict should match a mapping")
    assert sorted(value["tags"], reverse=True) == ["b", "a"]


@pytest.mark.parametrize(
    "make",
    [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))],
    ids=["deepcopy", "pickle"],
)
def test_a_deep_copy_is_plain_and_ones_own(make):
    """So there is always a way to go on from what was read."""
    made = make(freeze({"a": [1, {"b": {1}}]}))
    assert not [each for each in containers_in(made) if type(each) in BUILT_IN]
    made["a"][1]["b"].add(2)
    assert made == {"a": [1, {"b": {1, 2}}]}


def test_new_containers_are_plain():
    """What an operator makes is the caller's."""
    value = freeze([{"a": 1}, [1], {1}])
    made = [
        value[0] | {"b": 2},
        value[0].copy(),
        copy.copy(value[0]),
        value[1] + [2],
        value[1][:],
        value[1] * 2,
    ]
    made += [value[1].copy(), copy.copy(value[1]), value[2] | {2}, value[2].copy(), copy.copy(value[2])]
    assert {type(each) for each in made} == {dict, list, set}


def test_what_is_in_two_places_stays_one():
    """And tuples that hold nothing to freeze stay themselves."""
    twice, pair = [1], (1, (2,))
    frozen = freeze({"a": twice, "b": twice, "pair": pair, "point": Point([1], 2)})
    assert frozen["a"] is frozen["b"]
    assert frozen["pair"] is pair
    assert type(frozen["point"]) is Point
    assert type(frozen["point"].x) is FrozenList


@pytest.mark.parametrize("value", IMMUTABLE, ids=repr)
def test_what_cannot_be_changed_stays_itself(value):
    """No copy is made."""
    assert freeze(value) is value


@pytest.mark.parametrize("value", GRAPHS, ids=repr)
def test_what_cannot_be_frozen_is_refused(value):
    """Its class would have to take part."""
    with pytest.raises(Unfreezable):
        freeze(value)


def test_what_holds_itself_cannot_be_frozen():
    """It would have to be there before it is made."""
    within = {}
    within["self"] = [within]
    with pytest.raises(Unfreezable):
        freeze(within)
