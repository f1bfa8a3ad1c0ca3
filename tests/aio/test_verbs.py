"""All verbs, with the same results and errors as those of the blocking cache."""

import pytest

from greencache import MISSING, CacheTier
from greencache.errors import InvalidArgumentError, InvalidKeyError

# Verb, arguments, options, and what comes of it after {"a": 1, "none": None} was stored under the tag "t".
TABLE = [
    ("get", ("a",), {}, 1),
    ("get", ("none", 3), {}, None),
    ("get", ("missing",), {}, None),
    ("get", ("missing", 3), {}, 3),
    ("get", ("missing", MISSING), {}, MISSING),
    ("get", (5,), {}, InvalidKeyError),
    ("get", ([],), {}, InvalidKeyError),
    ("get", ("",), {}, InvalidKeyError),
    ("get", ("x" * 5000,), {}, InvalidKeyError),
    ("mget", (["a", "missing", "none"],), {}, {"a": 1, "none": None}),
    ("mget", ([],), {}, {}),
    ("mget", ("a",), {}, InvalidKeyError),
    ("get_or_load", ("a", lambda: 2), {}, 1),
    ("get_or_load", ("none", lambda: 2), {}, None),
    ("get_or_load", ("missing", lambda: 2), {}, 2),
    ("get_or_load", ("missing", lambda: 1 / 0), {}, ZeroDivisionError),
    ("get_or_load", ("missing", lambda: 2), {"ttl": -1}, InvalidArgumentError),
    ("get_or_load", ("missing", lambda: 2), {"colour": 1}, TypeError),
    ("get_or_load", ("missing", lambda: 2), {"tags": "t"}, InvalidArgumentError),
    ("get_or_load", ("missing", lambda: 2), {"tier": CacheTier.L4}, InvalidArgumentError),
    ("get_or_load", ({}, lambda: 2), {}, InvalidKeyError),
    ("get_or_load", ("missing", 5), {}, TypeError),
    ("get_or_load_many", (["a", "b"], lambda keys: dict.fromkeys(keys, 2)), {}, {"a": 1, "b": 2}),
    ("get_or_load_many", (["a", "b"], lambda _: {}), {}, {"a": 1}),
    ("get_or_load_many", ([], None), {}, {}),
    ("get_or_load_many", (["b"], lambda _: 5), {}, InvalidArgumentError),
    ("get_or_load_many", ("b", lambda _: {}), {}, InvalidKeyError),
    ("refresh", ("a", lambda: 2), {}, 2),
    ("refresh", ("a", lambda: 1 / 0), {}, ZeroDivisionError),
    ("set", ("b", 2), {"ttl": 3, "tags": ["t"]}, None),
    ("set", ("b", 2), {"ttl": "3"}, InvalidArgumentError),
    ("set", ("b",), {}, TypeError),
    ("mset", ({"b": 2, "c": 3},), {}, None),
    ("mset", ({"": 2},), {}, InvalidKeyError),
    ("write", ("a", 2, lambda _: None), {}, None),
    ("write", ("a", 2, lambda _: 1 / 0), {}, ZeroDivisionError),
    ("delete", ("a",), {}, True),
    ("delete", ("missing",), {}, False),
    ("delete", (5,), {}, InvalidKeyError),
    ("mdelete", (["a", "missing"],), {}, None),
    ("mdelete", ("a",), {}, InvalidKeyError),
    ("invalidate", ("a",), {}, None),
    ("invalidate", (), {"tags": ["t"]}, 0),
    ("invalidate", (), {"pattern": "n*"}, None),
    ("invalidate", (), {"pattern": "n*", "dry_run": True}, None),
    ("invalidate", (), {"tags": ["t"], "dry_run": True}, None),
    ("invalidate", (), {}, 0),
    ("invalidate", (), {"tags": "t"}, InvalidKeyError),
    ("clear", (), {}, None),
    ("refresh_view", ("missing",), {}, InvalidArgumentError),
]


def _outcome(call):
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("where", ["L1", "Redis"])
def test_verbs_return_raise_and_leave_what_those_of_the_blocking_cache_do(run, make_cache, redis_url, where):
    """Word for word."""
    urls = {} if where == "L1" else {"l3": redis_url}
    cache, twin = make_cache(**urls), make_cache(**urls, namespace="twin").blocking

    def left(blocking):
        return blocking.mget(["a", "none", "b", "c", "missing"])

    def reset(blocking):
        blocking.mdelete(["b", "c", "missing"])
        blocking.mset({"a": 1, "none": None}, tags=["t"])

    for verb, arguments, options, expected in TABLE:
        reset(cache.blocking)
        reset(twin)
        outcome = _outcome(lambda: run(getattr(cache, verb)(*arguments, **options)))  # noqa: B023
        other = _outcome(lambda: getattr(twin, verb)(*arguments, **options))  # noqa: B023
        case = f"{verb}{arguments}, {options}"
        assert type(outcome) is type(other), case
        if isinstance(outcome, tuple):
            assert outcome[0] is other[0], case
            assert isinstance(expected, type), f"{case} raised {outcome}"
            assert issubclass(outcome[0], expected), case
            assert verb in ("set", "get_or_load") or outcome[1] == other[1], case
        else:
            assert outcome == other, case
            assert expected is None or outcome == expected, case
        assert left(cache.blocking) == left(twin), case
