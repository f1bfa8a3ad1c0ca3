"""Key templates: injective both ways, bounded, and refused when they cannot be."""

import datetime as dt
import decimal
import enum
import hashlib
import uuid

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from greencache.errors import ConfigurationError, InvalidKeyError
from greencache.keys import MAX_PLAIN_BYTES, Template

texts = st.text(st.characters(exclude_categories=["Cs"]))
hostile = st.text(st.sampled_from("%#:-|/aN3A2None≤{}\0"), max_size=8)
values = texts | hostile | st.none()
TEMPLATES = [
    "factor:{region}:{metric}",
    "{region}|{metric}",
    "f{region}-{metric}.json",
    "{region} / {metric}",
]


class Metric(enum.StrEnum):
    CO2 = "co2"


class Size(enum.IntEnum):
    BIG = 9


class Colour(enum.Enum):
    RED = 1


def test_fields_become_a_readable_key():
    """Ordinary values appear as they are."""
    template = Template("factor:{region}:{metric}")
    assert (
        template.format(region="Côte d'Ivoire", metric="Beef (cattle), raw")
        == "factor:Côte d'Ivoire:Beef (cattle), raw"
    )
    assert template.fields == ("region", "metric")


@pytest.mark.parametrize("text", TEMPLATES)
@given(values, values)
def test_parse_gives_back_what_format_was_given(text, region, metric):
    """For every text, the key maps back to its fields, unless it had to be hashed."""
    template = Template(text)
    key = template.format(region=region, metric=metric)
    assume("#" not in key)
    assert template.parse(key) == {"region": region, "metric": metric}


@pytest.mark.parametrize("text", TEMPLATES)
@given(values, values, values, values)
def test_different_texts_never_share_a_key(text, region, metric, other_region, other_metric):
    """A region with a colon in it cannot pass for a region and a metric."""
    template = Template(text)
    one = template.format(region=region, metric=metric)
    other = template.format(region=other_region, metric=other_metric)
    assert (one == other) == ((region, metric) == (other_region, other_metric))


@given(hostile)
def test_a_value_cannot_pass_for_more_fields(value):
    """Templates with the same start and another number of fields do not meet."""
    key = Template("factor:{region}").format(region=value)
    assert Template("factor:{region}:{metric}").parse(key) is None


@given(texts)
def test_parse_accepts_only_what_format_makes(key):
    """Whatever parse understands, format makes again."""
    template = Template("f:{region}:{metric}")
    for candidate in (key, f"f:{key}", f"f:{key}:x"):
        found = template.parse(candidate)
        assert found is None or template.format(**found) == candidate


@pytest.mark.parametrize("key", ["f:%41", "f:%3a", "f:%", "f:a:b", "f:a\nb:", "x:a", "f:a#b"])
def test_parse_refuses_other_spellings(key):
    """`%41` for `A` is another key, not another spelling."""
    assert Template("f:{region}").parse(key) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("DE", "DE"),
        (2022, "2022"),
        (-1, "-1"),
        (1.5, "1.5"),
        (True, "True"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (dt.date(2022, 1, 2), "2022-01-02"),
        (Metric.CO2, "co2"),
        (Size.BIG, "9"),
        (None, "%None"),
        ("None", "None"),
        ("%None", "%25None"),
    ],
)
def test_values_have_one_canonical_text(value, text):
    """Numbers, dates and identifiers count as their text; None differs from every text."""
    assert Template("x:{value}").format(value=value) == f"x:{text}"


def test_a_time_of_day_is_escaped_and_comes_back_as_text():
    """The colons of a time are not separators."""
    template = Template("x:{at}:{by}")
    key = template.format(at=dt.datetime(2022, 1, 2, 3, 4, tzinfo=dt.UTC), by="me")
    assert template.parse(key) == {"at": "2022-01-02T03:04:00+00:00", "by": "me"}


class Stamped(dt.datetime):
    """Like pandas.Timestamp: holds more than the text of its base."""


@pytest.mark.parametrize(
    "value", [b"DE", ["DE"], object(), Colour.RED, 1j, Stamped(2022, 1, 1), pytest.param(10**5000, id="huge")]
)
def test_values_without_canonical_text_are_refused_by_name(value):
    """The message names the field, so that the caller knows which to convert."""
    with pytest.raises(InvalidKeyError, match="field 'region'"):
        Template("factor:{region}").format(region=value)


def test_missing_and_unexpected_fields_are_named():
    """A typo in a field's name is told, not ignored."""
    template = Template("factor:{region}:{metric}")
    with pytest.raises(InvalidKeyError, match="needs a value for 'metric'"):
        template.format(region="DE")
    with pytest.raises(InvalidKeyError, match="has no field 'unit'; it has 'metric', 'region'"):
        template.format(region="DE", metric="co2", unit="g")


def test_format_map_ignores_what_it_does_not_need():
    """A decorator passes all arguments of a call."""
    assert Template("f:{region}").format_map({"region": "DE", "value": object()}) == "f:DE"


def test_a_field_may_be_called_self():
    """No field's name collides with a parameter's."""
    assert Template("f:{self}").format(self="x") == "f:x"


def test_a_field_used_twice_must_agree_with_itself():
    """Parse does not make up an answer."""
    template = Template("{a}:{a}")
    assert template.format(a="x") == "x:x"
    assert template.parse("x:x") == {"a": "x"}
    assert template.parse("x:y") is None


def test_long_keys_keep_their_literal_prefix_and_hash_the_rest():
    """Over 250 bytes the fields are replaced by `#` and their SHA-256."""
    template = Template("factor:{region}:{metric}")
    key = template.format(region="x" * 300, metric="co2")
    assert key == "factor:#" + hashlib.sha256(b"x" * 300 + b":co2").hexdigest()
    assert template.parse(key) is None


@pytest.mark.parametrize(("length", "is_hashed"), [(MAX_PLAIN_BYTES - 2, False), (MAX_PLAIN_BYTES - 1, True)])
def test_bytes_count_for_the_limit(length, is_hashed):
    """250 bytes are plain, 251 are hashed; é has two."""
    assert ("#" in Template("f:{a}").format(a="x" * length)) == is_hashed
    assert ("#" in Template("f:{a}").format(a="é" * (length // 2) + "x" * (length % 2))) == is_hashed


@pytest.mark.parametrize("text", ["f:{a}:{b}", "{a}|{b}"])
def test_no_value_can_pass_for_a_hash(text):
    """A user who knows the hash of a long key cannot name it with a short one."""
    template = Template(text)
    target = template.format(a="", b="x" * 300)
    digest = target.rpartition("#")[2]
    for a, b in [(f"#{digest}", ""), ("", f"#{digest}"), ("", digest), (digest, "")]:
        assert template.format(a=a, b=b) != target


def test_a_huge_value_is_hashed_away():
    """A megabyte in a field makes a key of ordinary length."""
    assert len(Template("f:{a}").format(a="x" * 1_000_000)) < 80


def test_a_literal_part_that_leaves_no_room_is_refused():
    """What cannot be hashed away is an error, not a cut key."""
    with pytest.raises(InvalidKeyError, match="at most 1024 bytes"):
        Template("x" * 1000 + ":{a}").format(a="y" * 300)


def test_lone_surrogates_in_values_are_refused():
    """They have no bytes, so servers could not hold them."""
    for value in ("\ud800", "x" * 300 + "\udfff"):
        with pytest.raises(InvalidKeyError, match="lone surrogate"):
            Template("f:{a}").format(a=value)


def test_an_empty_expansion_is_refused():
    """An empty key names nothing."""
    with pytest.raises(InvalidKeyError, match="empty"):
        Template("{a}").format(a="")


def test_a_template_may_have_no_fields():
    """A constant is a key as well; doubled braces are braces."""
    template = Template("all:{{factors}}")
    assert template.format() == "all:{factors}"
    assert template.parse("all:{factors}") == {}
    assert template.parse("other") is None


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{0}",
        "{a.b}",
        "{a[0]}",
        "{a!r}",
        "{a:>3}",
        "{a",
        "a}",
        "{a b}",
        "{a}{b}",
        "{a}x{b}",
        "{a}é{b}",
        "{a}%{b}",
        "{a}#{b}",
        "{a}1",
        "{a}:{b}c",
        7,
        None,
    ],
)
def test_templates_that_could_be_ambiguous_are_refused_when_built(text):
    """Wrong use is refused at construction, with a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="key template"):
        Template(text)


def test_an_empty_template_is_refused():
    """It would be an empty key."""
    with pytest.raises(InvalidKeyError):
        Template("")


def test_templates_are_values():
    """Equal text, equal template."""
    assert Template("a:{b}") == Template("a:{b}")
    assert len({Template("a:{b}"), Template("a:{b}"), Template("a:{c}")}) == 2
    assert Template("a:{b}") != "a:{b}"
    assert repr(Template("a:{b}")) == "Template('a:{b}')"
