"""Tags that a loader computes: an invalidation since its load began counts, whoever has made it."""

import pytest

from greencache import MISSING, CacheManager, current_load
from greencache.testing import wait_until
from tests.loading.loaders import hear


def tagging(*tags, then=None, value="value"):
    """Return a loader that reads its value, computes its tags, and does something before it ends."""

    def load():
        current_load().tags.add(*tags)
        if then is not None:
            then()
        return value

    return load


class Deaf:
    """A table of stamps that is told nothing."""

    def expect(self, stamps):
        """Take no note."""

    def doubt(self):
        """Take no note."""


@pytest.fixture(params=["memory", "here", "elsewhere", "unheard"])
def who(request, pair):
    """A cache, the one that invalidates, and whether the first has heard of it when its load ends."""
    if request.param == "memory":
        with CacheManager() as cache:
            yield cache, cache, False
        return
    cache, other = pair()
    if request.param == "unheard":
        # As if announcements of stamps were still under way when the load ends.
        cache._engine.receiver._stamps = Deaf()
    yield cache, cache if request.param == "here" else other, request.param == "elsewhere"


def test_a_value_is_found_under_a_tag_that_its_loader_has_computed(who):
    """By each process, and it goes with the tag."""
    cache, other, _ = who
    cache.get_or_load("k", tagging("late"), tags=["given"])
    assert cache.get("k") == other.get("k") == "value"
    assert set(cache._engine.peek("k").tags) == {"given", "late"}
    cache.invalidate(tags=["late"])
    assert cache.get("k", MISSING) is MISSING
    wait_until(lambda: other.get("k", MISSING) is MISSING, reason="the other has heard of it")


@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("forget", ["tag", "clear"])
def test_what_was_invalidated_since_the_load_began_is_not_stored(who, knows, forget):
    """In no tier; whether this process knew the tag before or nobody did."""
    cache, other, is_heard = who
    if knows:
        cache.set("another", 1, tags=["late"])
        assert other.get("another") == 1

    def invalidate():
        if forget == "tag":
            other.invalidate(tags=["late"])
        else:
            other.clear()
        if is_heard:
            hear(cache, other)

    assert cache.get_or_load("k", tagging("late", then=invalidate)) == "value"
    assert other.get("k", MISSING) is MISSING
    for tier in other._engine.stack.shared:
        assert not any(tier.look(["k"]))
    if is_heard or other is cache:
        assert cache.get("k", MISSING) is MISSING
    assert other.get_or_load("k", tagging("late", value="newer")) == "newer"


def test_what_was_invalidated_before_its_tag_was_computed_is_not_stored(who):
    """The value was read before."""
    cache, other, is_heard = who

    def load():
        other.invalidate(tags=["late"])
        if is_heard:
            hear(cache, other)
        current_load().tags.add("late")
        return "value"

    assert cache.get_or_load("k", load) == "value"
    assert other.get("k", MISSING) is MISSING


def test_another_tags_invalidation_never_leads_to_a_wrong_answer(who):
    """The value may be refused, since nobody can tell; the next load is stored."""
    cache, other, _ = who
    loader = tagging("late", then=lambda: other.invalidate(tags=["unrelated"]))
    assert cache.get_or_load("k", loader) == "value"
    assert other.get("k", "value") == "value"
    assert other.get_or_load("k2", tagging("late")) == "value"
    assert other.get("k2") == "value"
    other.invalidate(tags=["late"])
    assert other.mget(["k", "k2"]) == {}


def test_tags_that_were_given_do_not_mind_another_tags_invalidation(who):
    """Their stamps were read before the load."""
    cache, other, is_heard = who

    def load():
        other.invalidate(tags=["unrelated"])
        if is_heard:
            hear(cache, other)
        return "value"

    assert cache.get_or_load("k", load, tags=["given"]) == "value"
    assert cache.get("k") == other.get("k") == "value"


def test_a_computed_tag_that_was_given_too_is_one(who):
    """And minds no other's invalidation."""
    cache, other, _ = who
    loader = tagging("given", then=lambda: other.invalidate(tags=["unrelated"]))
    assert cache.get_or_load("k", loader, tags=["given"]) == "value"
    assert other.get("k") == "value"
    assert cache._engine.peek("k").tags == ("given",)


def test_set_does_not_mind_invalidations_elsewhere(who):
    """Its stamps are those of the moment it begins."""
    cache, other, _ = who
    other.invalidate(tags=["t"])
    cache.set("k", "value", tags=["t"])
    assert other.get("k") == "value"
    other.invalidate(tags=["t"])
    assert other.get("k", MISSING) is MISSING


def test_each_key_of_a_batch_has_its_own_tags(who):
    """One whose tag was invalidated is refused, and with it those with other late tags; the rest is kept."""
    cache, other, _ = who

    def load(keys):
        load = current_load()
        load.of("a").tags.add("of-a")
        load.of("b").tags.add("of-b", "given")
        other.invalidate(tags=["of-a"])
        return dict.fromkeys(keys, "value")

    found = cache.get_or_load_many(["a", "b", "c"], load, tags=["given"])
    assert found == dict.fromkeys("abc", "value")
    assert other.mget(["a", "b", "c"]) in ({"c": "value"}, {"b": "value", "c": "value"})
    found = cache.get_or_load_many(["a", "b"], lambda keys: dict.fromkeys(keys, "value"))
    assert found == dict.fromkeys("ab", "value")


def test_a_batch_is_forgotten_key_by_key(who):
    """Each under its own tag."""
    cache, other, _ = who

    def load(keys):
        for key in keys:
            current_load().of(key).tags.add(f"of-{key}")
        return dict.fromkeys(keys, "value")

    cache.get_or_load_many(["a", "b"], load)
    assert other.mget(["a", "b"]) == {"a": "value", "b": "value"}
    other.invalidate(tags=["of-a"])
    assert other.mget(["a", "b"]) == {"b": "value"}


def test_a_reload_computes_its_tags_anew(who):
    """And forgets with those of now, not with those of then."""
    cache, other, _ = who
    cache.get_or_load("k", tagging("first"))
    cache.invalidate("k")
    cache.get_or_load("k", tagging("second"))
    other.invalidate(tags=["first"])
    assert other.get("k") == "value"
    other.invalidate(tags=["second"])
    assert other.get("k", MISSING) is MISSING


# -- without the authority -----------------------------------------------------------------------------


def test_during_an_outage_a_late_tag_is_no_error(make_cache, redis_servers):
    """And what was believed then is not believed once the authority is back."""
    server = redis_servers()
    cache = make_cache({"l3": server.url})
    server.kill()
    assert cache.get_or_load("k", tagging("late")) == "value"
    server.start()
    wait_until(
        lambda: cache.get_or_load("k", lambda: "newer") == "newer", reason="the server is back", deadline=30
    )


def test_an_authority_that_goes_during_the_load_vouches_for_nothing(make_cache, redis_servers):
    """Another process may have invalidated the tag just before."""
    server = redis_servers()
    cache, other = make_cache({"l3": server.url}), make_cache({"l3": server.url})
    other.set("another", 1, tags=["late"])

    def invalidate():
        other.invalidate(tags=["late"])
        server.kill()

    assert cache.get_or_load("k", tagging("late", then=invalidate)) == "value"
    server.start()
    wait_until(lambda: other.health_check().status.name == "UP", reason="the server is back", deadline=30)
    assert other.get_or_load("k", lambda: "newer") == "newer"


def test_postgres_alone_keeps_the_stamps_as_well(make_cache, postgres_url):
    """Without a bus."""
    cache, other = (make_cache({"l4": postgres_url}, l1=False) for _ in range(2))
    assert cache.get_or_load("k", tagging("late")) == "value"
    assert other.get("k") == "value"
    loader = tagging("late", then=lambda: other.invalidate(tags=["late"]))
    assert cache.get_or_load("k2", loader) == "value"
    assert other.mget(["k", "k2"]) == {}
