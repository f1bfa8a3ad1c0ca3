"""Traces, in every form that is read."""

import bz2
import gzip
import lzma

import pytest

from greencache.simulate import Request, TraceError, TraceWriter, read_trace


def read(tmp_path, text, name="trace.csv"):
    """Return the requests of a trace with this text."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return list(read_trace(path))


def test_columns_without_names_are_key_size_and_ttl(tmp_path):
    """As many as there are."""
    assert read(tmp_path, "a\nb\n") == [Request("a"), Request("b")]
    assert read(tmp_path, "a,5\nb,7\n") == [Request("a", 5), Request("b", 7)]
    assert read(tmp_path, "a,5,1.5\nb,,\n") == [Request("a", 5, 1.5), Request("b")]


@pytest.mark.parametrize(
    "first",
    ["# time,key,size", "time,key,size", "#time, key, size\r", "Time,Key,Size", "\ufefftime,key,size"],
)
def test_the_first_line_may_name_the_columns(tmp_path, first):
    """In any order, with or without a number sign, in capitals, after the mark that spreadsheets write."""
    assert read(tmp_path, f"{first}\n0.5,a,9\n") == [Request("a", 9, None, 0.5)]


@pytest.mark.parametrize("text", ["a,5\n\nb,7\n\n", "# of a Tuesday\n# and more\na,5\nb,7\n", "\na,5\nb,7"])
def test_empty_lines_and_remarks_before_the_first_request_are_passed_over(tmp_path, text):
    """Neither is a request."""
    assert read(tmp_path, text) == [Request("a", 5), Request("b", 7)]
    assert read(tmp_path, text.replace(",5", "").replace(",7", "")) == [Request("a"), Request("b")]
    assert read(tmp_path, "#spring\n#autumn\n") == [Request("#spring"), Request("#autumn")]


def test_minus_one_is_not_known(tmp_path):
    """Many traces write it so."""
    assert read(tmp_path, "key,size,ttl\na,-1,-1\n") == [Request("a")]


def test_keys_may_be_quoted_and_hold_commas(tmp_path):
    """As CSV has it; a trace of keys alone takes each line as it is."""
    assert read(tmp_path, '"a,b",3\n') == [Request("a,b", 3)]
    assert read(tmp_path, '# key\n"a,b"\n') == [Request('"a,b"')]


COMPRESSORS = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": None,
    ".GZ": gzip.compress,
}


@pytest.mark.parametrize(("suffix", "compress"), COMPRESSORS.items())
def test_compressed_traces_are_read(tmp_path, suffix, compress):
    """By the end of their names."""
    if compress is None:
        compress = pytest.importorskip("zstandard").compress
    path = tmp_path / f"trace.csv{suffix}"
    path.write_bytes(compress(b"a,1\nb,2\n"))
    assert list(read_trace(path)) == [Request("a", 1), Request("b", 2)]


def test_what_is_written_is_read_back(tmp_path):
    """JSON lines keep everything, and leave out what is not known."""
    path = tmp_path / "trace.jsonl"
    requests = [Request("ä,\n", 5, 60.0, 1.25, 0.5), Request("b")]
    with TraceWriter(path) as writer:
        for request in requests:
            writer.write(request)
    assert list(read_trace(path)) == requests
    assert path.read_bytes().splitlines()[2] == b'{"k":"b"}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,many\n", "after 0 requests"),
        ("a,1\nb,many\n", "after 1 requests"),
        ("key,colour\na,1\n", "colour"),
        ('{"some-trace": 1}\n', "greencache-trace"),
        ('{"greencache-trace": 2}\n', "greencache-trace"),
        ('{"greencache-trace": 1}\n{"key": "a"}\n', "KeyError"),
        ('{"greencache-trace": 1}\nnot json\n', "after 0 requests"),
        ("a,nan,\n", "nan"),
    ],
)
def test_a_line_that_is_no_request_is_named(tmp_path, text, reason):
    """With how many came before, and what was wrong."""
    with pytest.raises(TraceError, match=reason):
        read(tmp_path, text)


@pytest.mark.parametrize("name", ["trace.csv", "trace.gz", "trace.xz", "trace.bz2", "trace.zst"])
def test_bytes_that_are_no_text_are_refused(tmp_path, name):
    """Such as a compressed file with a wrong name."""
    path = tmp_path / name
    path.write_bytes(b"\x8b\x1f\x08\x00\xff\xfe\n")
    with pytest.raises(TraceError, match=name):
        list(read_trace(path))
