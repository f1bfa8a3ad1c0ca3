"""Patterns: exact here, a superset on servers, and never expensive."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greencache.errors import InvalidKeyError
from greencache.keys import Pattern, storage_text

letters = "ab*?\\[]^-{}%_.\n\0é"
keys = st.text(st.sampled_from(letters), min_size=1, max_size=12)
pattern_texts = st.text(st.sampled_from(letters), min_size=1, max_size=12)


def tokens_of(text):
    """The language of the documentation, read one character at a time."""
    index = 0
    while index < len(text):
        if text[index] == "\\" and text[index + 1 : index + 2] in ("*", "?", "\\"):
            yield "literal", text[index + 1]
            index += 2
            continue
        yield ("wildcard" if text[index] in "*?" else "literal"), text[index]
        index += 1


def model_matches(text, key):
    """Match by the set of positions that can be reached, without any cleverness."""
    positions = {0}
    for kind, character in tokens_of(text):
        if kind == "wildcard" and character == "*":
            positions = {end for start in positions for end in range(start, len(key) + 1)}
        else:
            positions = {
                at + 1 for at in positions if at < len(key) and (kind == "wildcard" or key[at] == character)
            }
    return len(key) in positions


def redis_matches(glob, text):
    """Redis's `stringmatchlen`, for globs without brackets, as a regular expression."""
    expression = re.sub(
        r"\\(.)|(\*)|(\?)|(.)",
        lambda found: (
            re.escape(found[1] or "") or (found[2] and ".*") or (found[3] and ".") or re.escape(found[4])
        ),
        glob,
        flags=re.DOTALL,
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None


def like_matches(pattern, text):
    r"""SQL's LIKE with ESCAPE '\' as a regular expression."""
    expression = re.sub(
        r"\\(.)|(%)|(_)|(.)",
        lambda found: (
            re.escape(found[1] or "") or (found[2] and ".*") or (found[3] and ".") or re.escape(found[4])
        ),
        pattern,
        flags=re.DOTALL,
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("user:*", "user:1", True),
        ("user:*", "user:", True),
        ("user:*", "users:1", False),
        ("user:?", "user:1", True),
        ("user:?", "user:", False),
        ("user:?", "user:12", False),
        ("*:DE:*", "factor:DE:2022", True),
        ("a*b", "a\nb", True),
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
        (r"a\?", "a?", True),
        (r"a\\*", "a\\b", True),
        (r"a\n", r"a\n", True),
        ("a[bc]", "a[bc]", True),
        ("a[bc]", "ab", False),
        ("a{b}", "a{b}", True),
        ("*", "anything", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*ab", "abab", True),
    ],
)
def test_star_is_any_run_and_question_mark_one_character(pattern, key, expected):
    """Everything but `*`, `?` and their escapes is literal."""
    assert Pattern(pattern).matches(key) is expected


@given(pattern_texts, keys)
def test_matching_agrees_with_the_plain_definition(text, key):
    """The quick matcher finds exactly what the definition says."""
    assert Pattern(text).matches(key) == model_matches(text, key)


@given(keys)
def test_escaped_text_matches_only_itself(key):
    """A user's id of `*` names one user."""
    pattern = Pattern(Pattern.escape(key))
    assert pattern.literal == key
    assert pattern.matches(key)
    assert not pattern.matches(key + "a")


@given(pattern_texts, keys)
def test_the_glob_finds_at_least_every_match(text, key):
    """Servers may find more, never less."""
    pattern = Pattern(text)
    if pattern.matches(key):
        assert redis_matches(pattern.glob("gc:v:{ns*:", "}"), "gc:v:{ns*:" + storage_text(key) + "}")


@given(pattern_texts, keys)
def test_the_like_pattern_finds_at_least_every_match(text, key):
    """The same for SQL."""
    pattern = Pattern(text)
    if pattern.matches(key):
        assert like_matches(pattern.like("ns_%:", ";"), "ns_%:" + storage_text(key) + ";")


@given(pattern_texts)
def test_servers_never_get_more_than_two_wildcards(text):
    """Old servers backtrack; with two stars that is harmless."""
    unescaped = re.sub(r"\\.", "", Pattern(text).glob("p:", ";"), flags=re.DOTALL)
    assert unescaped.count("*") <= 2
    assert not set(unescaped) & set("?[]")


@pytest.mark.parametrize(
    ("pattern", "glob", "like"),
    [
        ("user:*", "<user:*>", "<user:%>"),
        ("user:?", "<user:*>", "<user:%>"),
        ("user:1", "<user:1>", "<user:1>"),
        ("*", "<*>", "<%>"),
        (r"\*[a]_%{*", r"<\*\[a\]_%25%7B*>", r"<*[a]\_\%25\%7B%>"),
        ("a*bb*c*d", "<a*bb*d>", "<a%bb%d>"),
    ],
)
def test_server_patterns_escape_what_servers_would_read(pattern, glob, like):
    """Literal text stays literal in the server's own language."""
    assert Pattern(pattern).glob("<", ">") == glob
    assert Pattern(pattern).like("<", ">") == like


def test_a_pattern_without_wildcards_is_a_key():
    """Then no scan is needed."""
    assert Pattern(r"user:\*1").literal == "user:*1"
    assert Pattern("user:*").literal is None


def test_neighbouring_stars_are_one():
    """`***` is `*`, and neighbouring wildcards count once."""
    assert Pattern("a" + "*" * 500).matches("abc")
    assert Pattern("*?" * 100).matches("x" * 100)


def test_too_many_groups_of_wildcards_are_refused():
    """Sixteen are allowed, seventeen are not."""
    Pattern("a*" * 16)
    with pytest.raises(InvalidKeyError, match="at most 16 groups of wildcards, got 17"):
        Pattern("a*" * 17)


@pytest.mark.parametrize("text", ["", "a" * 1025, None, b"*", "\ud800*"])
def test_what_is_no_text_of_a_kibibyte_is_refused(text):
    """The rules of keys hold for patterns."""
    with pytest.raises(InvalidKeyError, match="expected a pattern"):
        Pattern(text)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "pattern", ["a*" * 16 + "b", "*a" * 15 + "*b", "*" + "?" * 500 + "b", "?*" * 15 + "aaaaab"]
)
def test_adversarial_patterns_do_not_explode(pattern):
    """With backtracking these would run for longer than the universe; the test's time limit is the check."""
    compiled = Pattern(pattern)
    for length in (100, 1024):
        assert not compiled.matches("a" * length)


def test_patterns_are_values():
    """Equal text, equal pattern."""
    assert Pattern("a*") == Pattern("a*")
    assert len({Pattern("a*"), Pattern("a*"), Pattern("b*")}) == 2
    assert Pattern("a*") != "a*"
    assert repr(Pattern("a*")) == "Pattern('a*')"
