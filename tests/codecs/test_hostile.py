"""Whatever stands in a server: a value or a DecodeError, and no code runs."""

import contextlib
import dataclasses
import pickle
import struct
import subprocess
import sys
import textwrap
import threading
import types

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greencache.codecs import (
    Codec,
    JsonSerializer,
    MessagePackSerializer,
    PickleSerializer,
    Signer,
    TypeRegistry,
    serializer_named,
)
from greencache.codecs.envelope import seal
from greencache.entry import Entry
from greencache.errors import ConfigurationError, DecodeError
from greencache.testing import FakeClock

Ext = msgspec.msgpack.Ext
pack = msgspec.msgpack.encode
CODEC = Codec(clock=FakeClock())
RAN = []


def tagged(tree):
    """Return MessagePack that says that it holds tags."""
    return b"\xc1" + pack(tree)


def forged(payload, serializer=1):
    """Return an envelope that is perfect but for its payload."""
    times = (0.0, 1e12, 1e12, 1e12, 0.0)
    return seal(
        flags=2,
        serializer=serializer,
        compressor=0,
        tier=0,
        times=times,
        stamps=(),
        key=b"k",
        plain=payload,
        stored=payload,
    )


def reason_of(payload, serializer=1, codec=CODEC):
    """Return the reason for which a payload is refused."""
    with pytest.raises(DecodeError) as caught:
        codec.decode("k", forged(payload, serializer))
    return caught.value.reason


def read_or_refused(payload, serializer):
    """Decode; anything but an entry or a DecodeError fails the test."""
    with contextlib.suppress(DecodeError):
        assert isinstance(CODEC.decode("k", forged(payload, serializer)), Entry)


@settings(max_examples=1000)
@given(payload=st.binary(max_size=60), serializer=st.sampled_from([1, 2, 3]))
def test_any_payload_is_read_or_refused(payload, serializer):
    """Random bytes behind a good checksum."""
    read_or_refused(payload, serializer)


plain = (
    st.none()
    | st.booleans()
    | st.integers(-5, 2**63)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
)
refs = st.sampled_from(
    ["conftest:Factor", "conftest:Scope", "os:system", "builtins:eval", "enum:Enum", ":", "", "a"]
)
trees = st.recursive(
    plain | refs,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3),
        st.builds(lambda code, body: Ext(code, pack(body)), st.integers(-2, 18), inner),
        st.builds(
            lambda code, text: Ext(code, text.encode()),
            st.integers(0, 18),
            st.text("0123:-T|.+Z", max_size=20),
        ),
    ),
    max_leaves=10,
)


@settings(max_examples=1000)
@given(trees)
def test_any_tree_of_tags_is_read_or_refused(tree):
    """Well-formed MessagePack with tags around anything."""
    read_or_refused(pack(tree), 1)
    read_or_refused(tagged(tree), 1)


names = st.sampled_from(
    ["int", "tuple", "set", "dict", "object", "datetime", "time", "float", "bytes", "UUID", "nope"]
)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | refs,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.builds(lambda name, body: {"__gc__": [name, body]}, names, inner),
        st.builds(lambda body: {"__gc__": body}, inner),
    ),
    max_leaves=10,
)


@settings(max_examples=1000)
@given(documents)
def test_any_document_of_tags_is_read_or_refused(document):
    """Well-formed JSON with tags around anything."""
    read_or_refused(msgspec.json.encode(document), 2)


@settings(max_examples=500)
@given(data=st.data())
def test_a_valid_payload_that_was_changed_is_read_or_refused(data, values):
    """One byte, somewhere, of something that was right."""
    serializer = data.draw(st.sampled_from([MessagePackSerializer(), JsonSerializer()]))
    payload = bytearray(serializer.dumps(data.draw(values)))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    read_or_refused(bytes(payload), serializer.id)


def nested_tags(depth):
    """Return tuples within tuples."""
    body = pack([])
    for _ in range(depth):
        body = pack([Ext(2, body)])
    return b"\xc1" + body


@pytest.mark.parametrize(
    ("payload", "serializer"),
    [
        (b"\x91" * 3_000_000, 1),
        (b"\x81\x01" * 1_000_000, 1),
        (b"\x91" * 100_000 + b"\xc0", 1),
        (b"\xc1" + b"\x91" * 100_000 + b"\xc0", 1),
        (b'["\\\\\\"' + b"]" * 900 + b'",' + b"[" * 900 + b"]" * 901, 2),
        (nested_tags(150), 1),
        (b"[" * 3_000_000, 2),
        (b'{"a":' * 1_000_000, 2),
        (b'{"__gc__":["tuple",[' * 400 + b"]]}" * 400, 2),
        (b'["__gc__",' + b"[" * 600 + b"]" * 600 + b"]", 2),
    ],
)
def test_nesting_is_bounded(payload, serializer):
    """Deep nesting ends in a refusal, not in a RecursionError or a broken stack, however small the stack."""
    reasons = []
    # Patched by nobody: a greenlet would have the stack of the main thread.
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=lambda: reasons.append(reason_of(payload, serializer)))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert reasons[0] in {"depth", "payload"}


@pytest.mark.parametrize("header", [b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9"])
def test_a_length_that_lies_allocates_nothing(header):
    """Four billion items announced, none sent."""
    import tracemalloc

    tracemalloc.start()
    try:
        assert reason_of(header + b"\xff\xff\xff\xff") == "payload"
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


class Bomb:
    def __reduce__(self):
        return go_off, ()


def go_off():
    """Leave a trace."""
    RAN.append("boom")


@pytest.mark.parametrize("serializer", [1, 2, 3])
def test_pickle_in_a_codec_without_pickle_is_never_run(serializer):
    """Under whichever number it comes."""
    reason_of(pickle.dumps(Bomb()), serializer)
    with pytest.raises(DecodeError):
        CODEC.decode("k", pickle.dumps(Bomb()) * 10)
    assert RAN == []


def test_pickle_without_a_good_signature_is_never_run(signer, clock):
    """The signature is verified first: unsigned, signed by another key, changed after signing."""
    codec = Codec(PickleSerializer(), signer=signer, clock=clock)
    other = Codec(PickleSerializer(), signer=Signer([b"another secret of 32 bytes......"]), clock=clock)
    changed = bytearray(codec.encode("k", Entry(b"x" * 100, 1.0)))
    bomb = pickle.dumps(Bomb())
    changed[120 : 120 + len(bomb)] = bomb
    for data in (forged(bomb, 3), other.encode("k", Entry(Bomb(), 1.0)), bytes(changed)):
        with pytest.raises(DecodeError) as caught:
            codec.decode("k", data)
        assert caught.value.reason == "signature"
    assert RAN == []
    codec.decode("k", codec.encode("k", Entry(Bomb(), 1.0)))
    assert RAN.pop() == "boom"  # the bomb would have worked


def test_pickle_needs_a_signer():
    """Refused when the codec is built."""
    with pytest.raises(ConfigurationError, match="needs a signer"):
        Codec(serializer_named("pickle"))


def object_tag(ref, *state):
    """Return the payload of an object of a class."""
    return tagged(Ext(13, pack([ref, *state])))


@pytest.mark.parametrize(
    "ref",
    [
        "os:system",
        "subprocess:Popen",
        "builtins:eval",
        "builtins:object",
        "antigravity:fly",
        "this:s",
        "pathlib:Path",
        "sys:modules",
        "conftest:Factor.__init__",
        "",
        ":",
        "os",
        7,
        None,
        [],
    ],
)
def test_nothing_but_data_classes_is_made_and_nothing_is_imported(ref):
    """Functions, ordinary classes and modules that are not loaded are out of reach."""
    before = set(sys.modules)
    assert reason_of(object_tag(ref, {})) in {"type", "payload"}
    assert set(sys.modules) - before == set()


def module_of(monkeypatch, source, kind=types.ModuleType):
    """Return a loaded module of some source."""
    module = kind("shop_models")
    monkeypatch.setitem(sys.modules, "shop_models", module)
    exec(textwrap.dedent(source), module.__dict__)  # noqa: S102
    return module


def test_a_loaded_data_class_is_made_without_running_its_code(monkeypatch):
    """Neither __new__, __init__, __post_init__, __setattr__ nor a property's setter."""
    module = module_of(
        monkeypatch,
        """
        import dataclasses
        def run(*_): raise AssertionError("code ran")
        @dataclasses.dataclass(init=False)
        class Quiet:
            a: int
            b: int
        Quiet.__init__ = Quiet.__new__ = Quiet.__post_init__ = Quiet.__setattr__ = run
        Quiet.a = property(run, run)
        """,
    )
    made = CODEC.decode("k", forged(object_tag("shop_models:Quiet", {"a": 1, "b": 2}))).value
    assert type(made) is module.Quiet
    assert vars(made) == {"a": 1, "b": 2}


LOUD = """
    import dataclasses, enum, msgspec
    ran = []
    @dataclasses.dataclass
    class Finalized:
        path: str
        def __del__(self): ran.append(self.path)
    class Hooked(msgspec.Struct):
        path: str
        def __post_init__(self): ran.append(self.path)
    class Bits(enum.Flag):
        A = 1
        @classmethod
        def _missing_(cls, value): ran.append(value); return cls.A
"""


@pytest.mark.parametrize(
    ("name", "state"), [("Finalized", {"path": "/etc"}), ("Hooked", {"path": "/etc"}), ("Bits", 6)]
)
def test_a_class_that_would_run_code_must_be_registered(name, state, monkeypatch):
    """A finalizer or a hook that the class's author did not write for forged state."""
    module = module_of(monkeypatch, LOUD)
    payload = object_tag(f"shop_models:{name}", state)
    assert reason_of(payload) == "type"
    assert module.ran == []
    codec = Codec(MessagePackSerializer((getattr(module, name),)), clock=FakeClock())
    assert codec.decode("k", forged(payload)).value is not None


def test_a_module_that_computes_its_attributes_is_not_asked(monkeypatch):
    """PEP 562 functions and lazy modules import things when touched."""
    source = "def __getattr__(name): raise AssertionError('asked')"
    module_of(monkeypatch, source)
    assert reason_of(object_tag("shop_models:Thing", {})) == "type"

    class Lazy(types.ModuleType):
        def __getattribute__(self, name):
            raise AssertionError("touched")

    monkeypatch.setitem(sys.modules, "shop_models", Lazy("shop_models"))
    assert reason_of(object_tag("shop_models:Thing", {})) == "type"


def test_an_alias_of_a_class_is_not_the_class(monkeypatch):
    """A class has one name, so that what is allowed can be read off it."""
    module_of(monkeypatch, LOUD + "    Alias = dataclasses.make_dataclass('Real', ['a'])")
    assert reason_of(object_tag("shop_models:Alias", {"a": 1})) == "type"


def test_a_strict_registry_makes_only_what_was_registered(monkeypatch):
    """For those who want to name each class."""
    source = "import dataclasses\n@dataclasses.dataclass\nclass Quiet:\n    a: int"
    module = module_of(monkeypatch, source)
    payload = object_tag("shop_models:Quiet", {"a": 1})
    strict = MessagePackSerializer(TypeRegistry(accepts_loaded=False))
    codec = Codec(strict, clock=FakeClock())
    assert reason_of(payload, codec=codec) == "type"
    strict.types.register(module.Quiet)
    assert codec.decode("k", forged(payload)).value == module.Quiet(1)


@pytest.mark.parametrize("fields", [{}, {"a": 1}, {"a": 1, "b": 2, "c": 3}, [], None, {1: 2}])
@pytest.mark.parametrize("kind", ["dataclass", "struct", "namedtuple", "model"])
def test_a_class_whose_fields_have_changed_is_a_miss(kind, fields):
    """An entry of an older deployment is loaded again, not half filled."""
    import collections

    import pydantic

    classes = {
        "dataclass": dataclasses.make_dataclass("Changed", ["a", "b"]),
        "struct": msgspec.defstruct("Changed", ["a", "b"]),
        "namedtuple": collections.namedtuple("Changed", "a b"),  # noqa: PYI024 -- made here
        "model": pydantic.create_model("Changed", a=(int, ...), b=(int, ...)),
    }
    cls = classes[kind]
    codec = Codec(MessagePackSerializer((cls,)), clock=FakeClock())
    rest = ({}, None, [], None) if kind == "model" else ()
    ref = f"{cls.__module__}:{cls.__qualname__}"
    assert reason_of(object_tag(ref, fields, *rest), codec=codec) == "type"
    assert codec.decode("k", forged(object_tag(ref, {"a": 1, "b": 2}, *rest))).value.a == 1


def test_a_zone_name_that_is_a_path_or_a_package_is_not_even_looked_for(monkeypatch):
    """What the standard library does with it is of no concern."""

    class Zones:
        def __new__(cls, name):
            raise AssertionError(name)

    monkeypatch.setattr("zoneinfo.ZoneInfo", Zones)
    for zone in ("../x", "/x", "a.b", "a/b.c/d", "\0", "x" + chr(0x2215) + "y"):
        with pytest.raises(DecodeError) as caught:
            CODEC.decode("k", forged(tagged(Ext(5, f"2026-01-01T00:00:00|0|{zone}".encode()))))
        assert caught.value.__cause__ is None


def test_a_zone_name_cannot_reach_outside_the_zone_files():
    """Neither paths nor packages."""
    for zone in ("../../etc/passwd", "/etc/passwd", "tzdata.zones", "Europe", "Not/AZone", "Europe/"):
        text = f"2026-01-01T00:00:00|0|{zone}"
        assert reason_of(tagged(Ext(5, text.encode()))) == "payload"


READER = """
import sys
{imports}
from greencache.codecs import Codec
from greencache.errors import DecodeError
try:
    print(Codec().decode("k", bytes.fromhex(sys.argv[1])).value)
except DecodeError as error:
    print(error.reason, "shop_models" in sys.modules)
"""


def test_another_process_reads_a_class_that_it_has_loaded_and_imports_none(tmp_path):
    """Without registration, as long as the module is there already."""
    (tmp_path / "shop_models.py").write_text(
        "import dataclasses\n@dataclasses.dataclass\nclass F:\n    a: int\n"
    )
    data = forged(object_tag("shop_models:F", {"a": 1})).hex()

    def read(imports):
        command = [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + READER.format(imports=imports),
            data,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    assert read("") == "type False"
    assert read("import shop_models") == "F(a=1)"


def test_an_error_says_nothing_of_the_value():
    """What goes to a log must not quote what was cached."""
    with pytest.raises(DecodeError) as caught:
        CODEC.decode("k", forged(tagged(Ext(9, b"secret words"))))
    assert "secret" not in str(caught.value)


def test_a_reader_deep_in_its_own_stack_gets_a_miss():
    """A RecursionError of the decoder does not escape."""

    def dive(depth):
        return dive(depth - 1) if depth else CODEC.decode("k", forged(nested_tags(90)))

    limit = sys.getrecursionlimit()
    outcomes = set()
    for depth in range(limit // 2, limit - 80, 7):
        try:
            outcomes.add(type(dive(depth)))
        except DecodeError as error:
            outcomes.add(error.reason)
        except RecursionError:
            break  # the caller itself is too deep
    assert outcomes <= {Entry, "depth", "payload"}


def test_times_that_are_not_numbers_are_refused():
    """A NaN would be neither fresh nor gone."""
    data = bytearray(forged(b"\x01")[:-4])
    data[16:24] = struct.pack(">d", float("nan"))
    import zlib

    with pytest.raises(DecodeError):
        CODEC.decode("k", bytes(data) + struct.pack(">I", zlib.crc32(data)))
