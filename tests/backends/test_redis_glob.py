"""Globs as Redis understands them."""

import pytest

from greencache.backends.redis_glob import compile_glob

NAMES = [
    b"",
    b"a",
    b"b",
    b"ab",
    b"a*b",
    b"a\\b",
    b"a]b",
    b"a-b",
    b"abc",
    b"a\nb",
    b"[a]",
    b"\xff",
    b"ac",
    b"a^b",
]
GLOBS = [
    "*", "?", "a?b", "a*b", "a\\*b", "a\\\\b", "a[*-]b", "[ab]", "[^ab]", "[a-c]", "[c-a]", "a[]b", "a[\\]]b",
    "a[^*]b", "\\[a]", "[a", "a[b-", "[^", "", "a\\", b"\xff", "[]", "a[^]b", "[a\\-c]",
]  # fmt: skip


@pytest.mark.parametrize("glob", GLOBS)
def test_it_matches_what_a_server_matches(new_manager, redis_url, glob):
    """Odd ones too."""
    manager = new_manager(redis_url)
    manager.execute_many([("SET", name, 1) for name in NAMES])
    theirs = {name for names in manager.scan(glob) for name in names}
    assert {name for name in NAMES if compile_glob(glob).fullmatch(name)} == theirs
