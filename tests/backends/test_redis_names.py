"""What greencache's keys in Redis are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greencache.backends.redis_names import RedisNames
from greencache.errors import InvalidKeyError
from greencache.keys import Pattern

# Half a surrogate pair is no character and is refused before it comes here.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
namespaces = st.from_regex(r"[A-Za-z0-9._-]{1,10}", fullmatch=True)


def names_of(namespace, text):
    """Return all that a text can name."""
    names = RedisNames(namespace)
    return {
        ("value", names.value(text)),
        ("lease", names.lease(text)),
        ("stamp", names.stamp(text)),
        ("bus", names.bus),
        ("position", names.position),
        ("durable", names.durable),
    }


@given(namespaces, texts, namespaces, texts)
def test_different_things_have_different_names(namespace, text, other_namespace, other_text):
    """No key, tag or namespace can reach into another's place."""
    one, two = names_of(namespace, text), names_of(other_namespace, other_text)
    assert len({name for _, name in one}) == 6
    shared = {kind for kind, name in one for other_kind, other in two if name == other}
    same_place = namespace == other_namespace
    assert shared == ({"bus", "position", "durable"} if same_place else set()) | (
        {"value", "lease", "stamp"} if same_place and text == other_text else set()
    )


@given(namespaces, texts)
def test_a_key_is_read_back_from_its_names(namespace, key):
    """From those of its entry and its lease, and from nothing else."""
    names = RedisNames(namespace)
    assert names.key(names.value(key)) == key
    assert names.key(names.lease(key)) == key
    assert names.key(names.stamp(key)) is None
    assert names.key(names.bus) is None
    assert RedisNames(namespace + "x").key(names.value(key)) is None


@given(namespaces, texts)
def test_entry_and_lease_share_a_hash_tag(namespace, key):
    """So a script may touch both in a Cluster, and no key steers which slot it is in."""
    names = RedisNames(namespace)
    value, lease = names.value(key), names.lease(key)
    for name in (value, lease):
        assert name.count(b"{") == name.count(b"}") == 1
    assert value[value.index(b"{") :] == lease[lease.index(b"{") :]


@pytest.mark.parametrize("name", [b"", b"}", b"gc:v:{a:\xff}", b"gc:v:{a:k", b"gc:v:a:k}", b"other"])
def test_a_foreign_name_is_no_key(name):
    """Whatever others keep in the same server."""
    assert RedisNames("a").key(name) is None


def test_globs_take_only_the_pattern_for_a_pattern():
    """Nothing else in them is special to Redis."""
    names = RedisNames("a.b")
    assert names.values_like(Pattern("user:*")) == b"gc:v:{a.b:user:*}"
    assert names.leases_like(Pattern("[x]*")) == rb"gc:l:{a.b:\[x\]*}"


@pytest.mark.parametrize("namespace", ["", "a:b", "{a}", "*", "é"])
def test_a_namespace_that_could_be_mistaken_is_refused(namespace):
    """When the names are made."""
    with pytest.raises(InvalidKeyError):
        RedisNames(namespace)
