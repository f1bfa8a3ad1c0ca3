"""Which part of a command goes where."""

import pytest
from redis.crc import key_slot

from greencache.backends.redis_routing import Plan
from greencache.backends.redis_slots import SLOTS, SlotMap, slot_of
from greencache.errors import InvalidArgumentError, TierUnavailableError

PLACES = [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    "key", [b"", b"foo", b"{a}b", b"x{a}b", b"{}b", b"a{}{b}", b"a}{b", b"{a", b"{a{b}c}", b"\xff\x00"]
)
def test_the_slot_of_a_key_is_that_of_its_hash_tag(key):
    """As redis-py computes it."""
    assert slot_of(key) == key_slot(key)


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("GET", "key"), "key"),
        ((b"set", b"key", 1), "key"),
        (("EVALSHA", "sha", 2, "key", "{key}", "arg"), "key"),
        (("EVAL", "text", 0, "arg"), None),
        (("XREAD", "COUNT", 1, "BLOCK", 1, "STREAMS", "key", "0-0"), "key"),
        (("PING",), None),
        (("ping", "text"), None),
        (("SCAN", 0), None),
    ],
)
def test_a_command_goes_where_its_key_is(command, key):
    """And one without a key anywhere."""
    (part,) = Plan(command, PLACES).parts
    assert part.slot == (None if key is None else slot_of(key.encode()))
    assert part.place is None


def test_what_concerns_all_goes_to_all():
    """Such as a script that is loaded."""
    plan = Plan(("SCRIPT", "LOAD", "return 1"), PLACES)
    assert [part.place for part in plan.parts] == PLACES
    for part in plan.parts:
        part.finish(b"sha")
    assert plan.outcome == b"sha"


def test_many_keys_are_split_by_slot_and_their_values_put_in_order():
    """Keys of one slot stay together."""
    keys = ["a", "{x}1", "b", "{x}2", "a"]
    plan = Plan(("MGET", *keys), PLACES)
    assert sorted(part.command[1:] for part in plan.parts) == [("a", "a"), ("b",), ("{x}1", "{x}2")]
    for part in plan.parts:
        part.finish([f"value of {key}" for key in part.command[1:]])
    assert plan.outcome == [f"value of {key}" for key in keys]


def test_counts_are_summed():
    """Of keys that were removed."""
    plan = Plan((b"UNLINK", b"a", b"b", b"c"), PLACES)
    for part in plan.parts:
        part.finish(1)
    assert plan.outcome == 3


def test_one_part_that_failed_fails_the_command():
    """With its error."""
    plan = Plan(("MGET", "a", "b"), PLACES)
    plan.parts[0].finish([b"1"])
    plan.parts[1].fault = TierUnavailableError("away")
    assert plan.outcome is plan.parts[1].fault


def test_a_key_that_cannot_be_sent_is_refused():
    """Before anything is."""
    with pytest.raises(InvalidArgumentError):
        Plan(("GET", "\udc80"), PLACES)


REPLY = [
    [0, 9_999, [b"10.0.0.1", 7000, b"id"], [b"10.0.0.2", 7001, b"id"]],
    [10_000, SLOTS - 2, [b"", 7002, b"id"]],
]


def test_a_map_is_read_from_a_reply():
    """A node that does not know its own host is where it was asked; slots may have no owner."""
    slots = SlotMap.from_reply(REPLY, "seed")
    assert slots.places == (("10.0.0.1", 7000), ("seed", 7002))
    assert slots.owners[0] == ("10.0.0.1", 7000)
    assert slots.owners[10_000] == ("seed", 7002)
    assert slots.owners[SLOTS - 1] is None


def test_a_node_that_takes_the_place_of_another_is_told_from_slots_that_are_moved():
    """What had no owner is no matter: nobody has read from it."""
    first, second, new = ("10.0.0.1", 7000), ("seed", 7002), ("new", 1)
    slots = SlotMap.from_reply(REPLY, "seed")
    assert not slots.has_successor_of(slots)
    assert not slots.moved(SLOTS - 1, second).has_successor_of(slots)
    moved = slots.moved(0, second)
    assert not moved.has_successor_of(slots)
    assert slots.moved(0, new).has_successor_of(slots)
    assert slots.succeeded(second, new).has_successor_of(slots)
    assert slots.succeeded(second, first).has_successor_of(slots)
    assert (moved.owners[0], slots.owners[0]) == (("seed", 7002), ("10.0.0.1", 7000))
    succeeded = slots.succeeded(("seed", 7002), ("new", 1))
    assert succeeded.places == (("10.0.0.1", 7000), ("new", 1))
