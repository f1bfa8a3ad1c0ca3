"""What a serializer refuses, and says; what it keeps of the odd types."""

import collections
import dataclasses
import datetime as dt
import enum
import json
import struct
import zoneinfo

import msgspec
import pydantic
import pytest

from greencache.codecs import (
    Codec,
    JsonSerializer,
    MessagePackSerializer,
    PickleSerializer,
    TypeRegistry,
    serializer_named,
)
from greencache.entry import Entry
from greencache.errors import ConfigurationError, EncodeError

both = pytest.mark.parametrize(
    "serializer", [MessagePackSerializer(), JsonSerializer()], ids=lambda s: s.name
)


def again(serializer, value):
    """Write a value and read it."""
    return serializer.loads(memoryview(serializer.dumps(value)))


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Zone(dt.tzinfo):
    def utcoffset(self, moment):
        """Return an offset that depends on the moment."""
        return None if moment is None else dt.timedelta(hours=1)

    def dst(self, moment):
        """Know nothing."""


@dataclasses.dataclass
class Mapping(dict):
    a: int = 1


@dataclasses.dataclass
class Unset:
    a: int = dataclasses.field(init=False)


class Labelled(collections.namedtuple("Labelled", "a")):  # noqa: SLOT002, PYI024 -- with a dict, on purpose
    pass


def labelled():
    """Return a named tuple with more than its fields."""
    made = Labelled(1)
    made.label = "x"
    return made


@both
@pytest.mark.parametrize(
    "odd",
    [
        Text("x"),
        Number(1),
        collections.OrderedDict(a=1),
        collections.defaultdict(list),
        collections.Counter("a"),
        collections.deque([1]),
        Mapping(),
        Unset(),
        labelled(),
        object(),
        memoryview(b"x"),
        range(3),
        1j,
        Exception("x"),
        int,
        "\ud800",
        lambda: 1,
        dt.datetime(2026, 1, 1, tzinfo=Zone()),
        dt.time(1, tzinfo=dt.timezone(dt.timedelta(microseconds=1))),
        pydantic.SecretStr("x"),
    ],
    ids=lambda odd: type(odd).__name__,
)
def test_what_would_not_come_back_exactly_is_refused_and_located(serializer, odd):
    """No subclass is flattened; the message names the serializer, the type and the place."""
    name = "surrogates" if type(odd) is str else type(odd).__name__
    with pytest.raises(EncodeError, match=f"{serializer.name} cannot encode .*{name}.* at value;"):
        serializer.dumps(odd)
    with pytest.raises(EncodeError, match=r"at value\['rows'\]\[1\]\['x'\];"):
        serializer.dumps({"rows": [0, {"x": odd}]})


@both
def test_the_place_within_a_class_is_that_of_the_user(serializer, kit):
    """Fields are named, our own lists are not."""
    with pytest.raises(EncodeError, match=r"at value\[0\]\['right'\]\[2\];"):
        serializer.dumps([kit.Pair(1, (1, 2, object()))])


@both
def test_a_value_within_itself_is_refused(serializer):
    """Instead of recursing until the stack ends."""
    circle = []
    circle.append(circle)
    with pytest.raises(EncodeError, match="nested deeper than 100"):
        serializer.dumps(circle)


@both
@pytest.mark.parametrize(
    "wrap", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: {1: v, None: 0}]
)
def test_what_can_be_written_can_be_read_however_deep(serializer, wrap):
    """The bound of the writer is not beyond that of the reader."""
    value, data = 0, serializer.dumps(0)
    try:
        while True:
            data = serializer.dumps(value)
            value = wrap(value)
    except EncodeError as refusal:
        assert "nested deeper than 100" in str(refusal)  # noqa: PT017 -- the last that was written is what matters
    assert serializer.dumps(serializer.loads(memoryview(data))) == data


@both
def test_fixed_offsets_of_any_library_are_kept_as_offsets(serializer):
    """Such as pydantic and psycopg2, which have zone classes of their own."""

    class Model(pydantic.BaseModel):
        at: dt.datetime

    moment = Model(at="2026-01-01T00:00:00+05:30").at
    back = again(serializer, moment)
    assert back == moment
    assert back.utcoffset() == dt.timedelta(hours=5, minutes=30)


@both
def test_zones_keep_their_name_and_their_fold(serializer):
    """The second 02:30 of the night when summer time ends."""
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    back = again(serializer, dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=berlin))
    assert back.tzinfo is berlin
    assert back.fold == 1
    assert back.utcoffset() == dt.timedelta(hours=1)


@both
def test_members_are_kept_by_name_and_are_the_members(serializer, kit):
    """Identity, aliases and combined flags."""

    class Color(enum.Enum):
        RED = 1
        ROT = 1  # noqa: PIE796 -- an alias

    assert again(serializer, Color.ROT) is Color.RED
    assert again(serializer, kit.Level.HIGH) is kit.Level.HIGH
    assert again(serializer, kit.Scope.ONE | kit.Scope.TWO) == kit.Scope.ONE | kit.Scope.TWO


@both
def test_structs_with_a_hook_come_back_as_they_were(serializer):
    """What __post_init__ changes a second time is put back."""

    class Doubling(msgspec.Struct, frozen=True):
        a: int

        def __post_init__(self):
            msgspec.structs.force_setattr(self, "a", self.a * 2)

    value = Doubling(2)
    assert value.a == 4
    assert again(serializer, value) == value


@both
def test_models_come_back_with_extra_private_and_unset(serializer, kit):
    """All that pydantic itself would pickle."""
    model = kit.Model(value=(1,), further={2})
    model._hidden = 8
    back = again(serializer, model)
    assert back == model
    assert back.model_fields_set == {"value", "further"}
    assert back._hidden == 8


@both
def test_cached_properties_are_computed_again(serializer, kit):
    """They need not be of a type that can be written."""
    factor = kit.Factor("DE", 1.0)
    assert factor.label
    back = again(serializer, factor)
    assert "label" not in vars(back)
    assert back.note == "set beside the fields"


def test_json_is_plain_for_plain_values_and_marks_the_others():
    """People and other programs can read it."""
    data = JsonSerializer().dumps({"a": [1, "x", None], "b": (1,), "__gc__": 1, "c": float("nan")})
    assert json.loads(JsonSerializer().dumps({"a": [1, "x", None, 0.5]})) == {"a": [1, "x", None, 0.5]}
    tag, pairs = json.loads(data)["__gc__"]
    assert tag == "dict"
    assert dict(map(tuple, pairs[1:2])) == {"b": {"__gc__": ["tuple", [1]]}} or pairs[1] == [
        "b",
        {"__gc__": ["tuple", [1]]},
    ]
    assert pairs[3] == ["c", {"__gc__": ["float", "nan"]}]


def test_numbers_that_are_none_keep_their_bits():
    """In JSON, too, which has no NaN."""
    for bits in ("7ff8000000000001", "fff8000000000000", "7ff8000000000000", "7ff0000000000000"):
        value = struct.unpack(">d", bytes.fromhex(bits))[0]
        assert struct.pack(">d", again(JsonSerializer(), value)).hex() == bits


def test_brackets_within_a_text_are_no_nesting():
    """Nor are those behind an escaped quote."""
    serializer = JsonSerializer()
    for text in ("[" * 1000, '"' + "[" * 1000, '\\"' + "{" * 1000, "\\" * 3 + '"' + "[{" * 500):
        assert again(serializer, [text, {text: text}]) == [text, {text: text}]


def test_many_containers_are_no_nesting():
    """However many there are side by side."""
    value = [[{"a": [i]}] for i in range(1000)]
    for serializer in (JsonSerializer(), MessagePackSerializer()):
        assert again(serializer, value) == value


def test_plain_values_are_plain_messagepack():
    """Nothing is added where nothing would be lost."""
    value = {"a": [1, 2.5, None, True, "y", {"b": []}], "n": {1: 2}}
    assert MessagePackSerializer().dumps(value) == msgspec.msgpack.encode(value)


@pytest.mark.parametrize("cls", [int, dict, object, collections.OrderedDict, "Factor", dt.tzinfo])
def test_a_class_that_cannot_be_written_cannot_be_registered(cls):
    """The mistake shows when the serializer is built."""
    with pytest.raises(ConfigurationError, match="expected a dataclass"):
        MessagePackSerializer((cls,))


def test_register_serves_as_a_decorator_and_types_are_shared():
    """One registry for several serializers."""
    types = TypeRegistry()

    @types.register
    @dataclasses.dataclass
    class Local:
        a: int

    assert Local(1).a == 1
    assert MessagePackSerializer(types).types is JsonSerializer(types).types


def test_serializers_have_names():
    """As a configuration says them."""
    kinds = {"msgpack": MessagePackSerializer, "json": JsonSerializer, "pickle": PickleSerializer}
    assert {name: type(serializer_named(name)) for name in kinds} == kinds


@pytest.mark.parametrize(
    ("name", "hint"), [("msgpak", "'msgpack'"), ("yaml", "json, msgpack, pickle"), (None, "None")]
)
def test_an_unknown_name_is_answered_with_the_known_ones(name, hint):
    """And with the nearest."""
    with pytest.raises(ConfigurationError, match=hint):
        serializer_named(name)


@pytest.mark.parametrize("options", [{"checksum": "md5"}, {"max_size": 0}, {"compress_above": -1}])
def test_a_codec_refuses_options_that_cannot_work(options):
    """When it is built."""
    with pytest.raises(ConfigurationError, match=r"md5|max_size"):
        Codec(**options)


def test_what_user_code_raises_while_it_is_written_becomes_an_encode_error(signer):
    """The tier is told of one kind of error."""

    class Row(msgspec.Struct):
        a: int

        @property
        def __dict__(self):
            raise RuntimeError

    class Broken:
        def __reduce__(self):
            raise RuntimeError("no")

    with pytest.raises(EncodeError, match=r"pickle cannot encode .*Broken"):
        Codec(PickleSerializer(), signer=signer).encode("k", Entry(Broken(), 1.0))


def test_a_mapping_that_changes_while_it_is_written_becomes_an_encode_error(monkeypatch):
    """Another thread may hold the same dict."""
    codec = Codec()

    def changed(value):
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr(codec.serializer, "dumps", changed)
    with pytest.raises(EncodeError, match="changed size"):
        codec.encode("k", Entry({}, 1.0))
