"""greencache.config.layers."""

from hypothesis import given
from hypothesis import strategies as st

from greencache.config.layers import Layer, named, origin_of

# A section is always a section, as in any file that will be valid.
VALUES = st.dictionaries(st.sampled_from("xyz"), st.integers())
SECTIONS = st.dictionaries(st.sampled_from("ab"), VALUES | st.none())
SETTINGS = st.builds(lambda sections, values: sections | values, SECTIONS, VALUES)


def test_what_is_above_covers_what_is_below():
    """Mappings are joined, all else is replaced, lists too."""
    below = Layer({"l1": {"size": 1, "ttl": 2}, "list": [1, 2]})
    above = Layer({"l1": {"ttl": 3}, "list": [4], "new": 5})
    assert above.over(below).values == {"l1": {"size": 1, "ttl": 3}, "list": [4], "new": 5}


def test_an_empty_section_covers_nothing():
    """`l1:` with only comments under it leaves what was below."""
    assert Layer({"l1": None, "ttl": None}).over(Layer({"l1": {"size": 1}, "ttl": 5})).values == {
        "l1": {"size": 1},
        "ttl": None,
    }


def test_a_secret_covers_the_file_that_held_it():
    """A secret and the file it comes from are one setting, of which the upper counts."""
    direct, in_file = Layer({"l2": {"password": "x"}}), Layer({"l2": {"password_file": "/x"}})
    assert direct.over(in_file).values == direct.values
    assert in_file.over(direct).values == in_file.values


@given(SETTINGS, SETTINGS, SETTINGS)
def test_the_order_of_joining_does_not_matter(a, b, c):
    """Three layers give the same, whichever two are joined first."""
    below, middle, above = Layer(a), Layer(b), Layer(c)
    assert above.over(middle).over(below).values == above.over(middle.over(below)).values


@given(SETTINGS)
def test_a_layer_over_nothing_is_itself(settings):
    """Nothing below and nothing above change nothing."""
    assert Layer(settings).over(Layer()).values == settings == Layer().over(Layer(settings)).values


def test_the_origin_is_that_of_the_nearest_thing_around():
    """A setting that is missing is looked for where its section was written."""
    origins = {("l2",): "cache.yaml:3:1", ("l2", "retry"): "cache.yaml:4:3"}
    assert origin_of(("l2", "retry", "retries"), origins) == "cache.yaml:4:3"
    assert origin_of(("l1",), origins) is None


def test_the_repr_of_a_layer_has_no_values():
    """A layer may hold passwords."""
    assert "hunter2" not in repr(Layer({"l2": {"password": "hunter2"}}))


def test_a_path_is_written_as_people_do():
    """Names are parted by dots, indexes are in brackets."""
    assert named(("l4", "views", 0, "key")) == "l4.views[0].key"
