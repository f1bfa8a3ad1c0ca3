"""greencache.config.yaml_file."""

import contextlib
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greencache.config.yaml_file import read_yaml
from greencache.errors import ConfigurationError

CANARY = "hunter2"


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a file and returns its path."""

    def write(text, encoding="utf-8"):
        path = tmp_path / "cache.yaml"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_settings_come_with_line_and_column(written):
    """Each setting is known by where it was written."""
    path = written("l1:\n  size: 5MB\nl4:\n  views:\n    - name: v\n")
    layer = read_yaml(path)
    assert layer.values == {"l1": {"size": "5MB"}, "l4": {"views": [{"name": "v"}]}}
    assert layer.origins["l1", "size"] == f"{path}:2:9"
    assert layer.origins["l4", "views", 0, "name"] == f"{path}:5:13"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("0123", "0123"),
        ("1:30", "1:30"),
        ("2026-13-01", "2026-13-01"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("=", "="),
        (".inf", ".inf"),
        ("5", 5),
        ("-5", -5),
        ("0.1", 0.1),
        ("1.5e+3", 1500.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ("!!str 5", "5"),
    ],
)
def test_nothing_is_guessed(written, text, value):
    """Only the scalars of YAML 1.2's core schema are more than text."""
    found = read_yaml(written(f"x: {text}\n")).values["x"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\ufeffa: 1\n"])
def test_an_empty_file_has_no_settings(written, text):
    """Comments alone, or nothing, are a file without settings; a byte order mark is none of its text."""
    assert read_yaml(written(text)).values == ({"a": 1} if "a: 1" in text else {})


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1", "'a' was already given in line 1"),
        ("a: {b: 1, b: 2}\n", "1:11", "'b' was already given in line 1"),
        ("a: [1\n", "2:1", "expected ',' or ']'"),
        ("a: b: c\n", "1:5", "mapping values are not allowed"),
        (f"a: *{CANARY}\n", "1:4", "anchors and aliases"),
        (f"a: &{CANARY} 1\n", "1:4", "anchors and aliases"),
        (f"a: !{CANARY} 1\n", "1:4", "quote text that begins with !"),
        (f"a: !{CANARY}!x 1\n", "1:4", "found undefined tag handle '…'"),
        (f"a: !!int {CANARY}\n", "1:4", "quote text that begins with !"),
        ("a: !!python/object/apply:os.system [true]\n", "1:4", "expected plain text"),
        ("a: !!set {b}\n", "1:4", "expected plain text"),
        (f"a: %{CANARY}\n", "1:4", "cannot start any token"),
        (f'a: "{CANARY}\\q"\n', "1:13", "unknown escape character"),
        ("1: a\n", "1:1", "expected a name as text"),
        ("? [a]\n: b\n", "1:3", "expected a name as text"),
        (f"{CANARY}\n", "1:1", "expected a mapping"),
        ("- a\n", "1:1", "expected a mapping"),
        (f"a: 1\n---\nb: {CANARY}\n", "2:1", "but found another document"),
    ],
)
def test_an_error_names_file_line_and_column_and_quotes_nothing(written, text, place, reason):
    """What is wrong can be found, and a password beside it is not shown."""
    path = written(text)
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}:{place}: ")
    assert reason in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__context__ is None


def test_a_file_that_cannot_be_read_is_refused(tmp_path, written):
    """A missing file, a folder, a wrong encoding and a control character are errors of ours."""
    with pytest.raises(ConfigurationError, match="No such file"):
        read_yaml(tmp_path / "missing.yaml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_yaml(tmp_path)
    with pytest.raises(ConfigurationError, match="not UTF-8 at byte 3"):
        read_yaml(written("a: é\n", "latin-1"))
    with pytest.raises(ConfigurationError, match="not YAML"):
        read_yaml(written("a: \x00\n"))


def test_deep_nesting_is_refused(written):
    """A file that would exhaust the stack is an error of ours."""
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        read_yaml(written("a: " + "[" * 5_000))


def test_the_path_of_a_secret_counts_from_the_file(written, tmp_path):
    """A relative path means the same wherever the program was started."""
    values = read_yaml(written("l2: {password_file: secret, url_file: /run/url}\n")).values
    assert values == {"l2": {"password_file": str(tmp_path / "secret"), "url_file": "/run/url"}}


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    """No file raises anything but our error."""
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with contextlib.suppress(ConfigurationError):
        read_yaml(path)
