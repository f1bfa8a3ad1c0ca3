"""`cached` on methods: bound, unbound, static and class methods in both orders."""

import inspect
import pickle

import pytest

from greencache.decorators import cached
from greencache.errors import ConfigurationError, InvalidKeyError, UnsupportedFunctionError


@pytest.fixture
def source_class(cache):  # noqa: C901 -- many small methods
    """A class with a cached method of every kind."""

    class Source:
        name = "base"

        def __init__(self, tenant="a"):
            self.tenant = tenant
            self.runs = 0

        @cached(cache_manager=cache, prefix="plain")
        def plain(self, region):
            """Look up."""
            self.runs += 1
            return self.tenant, region

        @cached(cache_manager=cache, prefix="keyed", self_key="tenant")
        def keyed(self, region):
            return self.tenant, region

        @cached(cache_manager=cache, key="t:{tenant}:{region}", self_key="tenant", tags=["tenant:{tenant}"])
        def templated(self, region):
            return self.tenant, region

        @staticmethod
        @cached(cache_manager=cache, prefix="static_outside")
        def static_outside(region):
            return region

        @cached(cache_manager=cache, prefix="static_inside")
        @staticmethod
        def static_inside(region):
            return region

        @classmethod
        @cached(cache_manager=cache, prefix="class_outside")
        def class_outside(cls, region):
            return cls.name, region

        @cached(cache_manager=cache, prefix="class_inside")
        @classmethod
        def class_inside(cls, region):
            return cls.name, region

        @cached(cache_manager=cache, prefix="by_class", self_key="name")
        @classmethod
        def by_class(cls, region):
            return cls.name, region

        @property
        @cached(cache_manager=cache, prefix="total", self_key="tenant")
        def total(self):
            return f"total of {self.tenant}"

    return Source


class Module:
    """At module level, for pickle."""

    tenant = "m"

    @cached(cache_manager=lambda _: None, self_key="tenant")
    def lookup(self, region):
        """Look up."""
        return region


def test_self_is_left_out_of_the_key(source_class):
    """Instances share entries unless told otherwise."""
    one, other = source_class("a"), source_class("b")
    assert one.plain("DE") == ("a", "DE")
    assert other.plain("DE") == ("a", "DE")
    assert (one.runs, other.runs) == (1, 0)
    assert one.plain.key("DE") == "plain:'DE'"


@pytest.mark.parametrize("name", ["keyed", "templated"])
def test_self_key_keeps_instances_apart(source_class, name):
    """The attribute is part of the key; no tenant sees another's entry."""
    one, other = source_class("a"), source_class("b")
    assert getattr(one, name)("DE") == ("a", "DE")
    assert getattr(other, name)("DE") == ("b", "DE")
    assert getattr(one, name)("DE") == ("a", "DE")


def test_self_key_is_a_field_of_templates(source_class, cache):
    """In keys and tags."""
    source_class("a").templated("DE")
    assert cache.tags["t:a:DE"] == ("tenant:a",)
    assert source_class("b:c").keyed.key("DE") == "keyed:'b:c','DE'"


def test_bound_methods_have_the_whole_interface(source_class):
    """invalidate, refresh, key and cache_info take the same arguments as the call."""
    source = source_class()
    source.plain("DE")
    source.plain("DE")
    source.plain.invalidate("DE")
    source.plain(region="DE")
    assert source.runs == 2
    assert source.plain.refresh("DE") == ("a", "DE")
    assert source.runs == 3
    assert source.plain.cache_info().misses == 3
    assert source.plain.cache_info().hits == 1


def test_methods_can_be_called_through_the_class(source_class):
    """With the instance first, as any method."""
    source = source_class("a")
    assert source_class.keyed(source, "DE") == ("a", "DE")
    assert source_class.keyed.key(source, "DE") == source.keyed.key("DE")
    with pytest.raises(TypeError, match="missing its first argument 'self'"):
        source_class.keyed()


@pytest.mark.parametrize("name", ["static_outside", "static_inside"])
def test_static_methods_work_in_both_orders(source_class, name):
    """Through the class and through an instance."""
    for owner in (source_class, source_class()):
        function = getattr(owner, name)
        assert function("DE") == "DE"
        assert function.key("DE") == f"{name}:'DE'"
        assert function.refresh("DE") == "DE"
        function.invalidate("DE")


@pytest.mark.parametrize("name", ["class_outside", "class_inside"])
def test_class_methods_work_in_both_orders(source_class, cache, name):
    """The class is left out of the key, on every Python."""
    for owner in (source_class, source_class()):
        function = getattr(owner, name)
        assert function("DE") == ("base", "DE")
        assert function.key("DE") == f"{name}:'DE'"
        assert function.key(region="DE") == f"{name}:'DE'"
        function.invalidate("DE")
        assert not cache.values


def test_a_class_method_inside_can_be_keyed_by_the_class(source_class):
    """Subclasses have entries of their own."""

    class Derived(source_class):
        name = "derived"

    assert source_class.by_class("DE") == ("base", "DE")
    assert Derived.by_class("DE") == ("derived", "DE")
    assert Derived().by_class.refresh("DE") == ("derived", "DE")
    assert Derived.by_class.key("DE") != source_class.by_class.key("DE")


def test_a_class_method_that_cannot_know_its_class_says_so(cache):
    """From Python 3.13 on @classmethod outside hides the class; a guess could drop another's entry."""
    decorated = cached(cache_manager=cache, prefix="f", self_key="name")(lambda cls, region: region)
    with pytest.raises(UnsupportedFunctionError, match="put this decorator above @classmethod"):
        decorated.invalidate("DE")
    with pytest.raises(UnsupportedFunctionError, match="put this decorator above @classmethod"):
        cached(cache_manager=cache, prefix="f")(lambda cls, region: region).refresh("DE")


def test_a_property_can_be_above_the_decorator(source_class):
    """The receiver is found by its name, whoever calls."""
    assert source_class("a").total == "total of a"
    assert source_class("b").total == "total of b"


def test_the_cache_may_come_from_self(new_cache):
    """Each instance brings its own."""

    class Source:
        def __init__(self):
            self.cache = new_cache()

        @cached(cache_manager=lambda self: self.cache, prefix="f")
        def lookup(self, region):
            return id(self)

    one, other = Source(), Source()
    assert one.lookup("DE") == id(one)
    assert other.lookup("DE") == id(other)
    one.lookup.invalidate("DE")
    assert (len(one.cache.values), len(other.cache.values)) == (0, 1)


def test_a_key_callable_gets_self(cache):
    """It gets what the function gets."""

    class Source:
        tenant = "a"

        @cached(cache_manager=cache, key=lambda self, region: f"{self.tenant}:{region}")
        def lookup(self, region):
            return region

    assert Source().lookup.key("DE") == "a:DE"


def test_inheritance_and_super_work(cache):
    """An override has another qualified name, so its own entries."""

    class Base:
        @cached(cache_manager=cache)
        def lookup(self, region):
            return f"base {region}"

    class Derived(Base):
        @cached(cache_manager=cache)
        def lookup(self, region):
            return "derived, " + super().lookup(region)

    assert Derived().lookup("DE") == "derived, base DE"
    assert len(cache.values) == 2


def test_a_bound_method_looks_like_one(source_class):
    """Signature, documentation, equality and pickling."""
    source = source_class()
    assert str(inspect.signature(source.plain)) == "(region)"
    assert source.plain.__name__ == "plain"
    assert source.plain.__self__ is source
    assert source.plain.__wrapped__("DE") == ("a", "DE")
    assert source.plain == source.plain
    assert source.plain != source_class().plain
    assert source.plain != 1
    assert len({source.plain, source.plain}) == 1
    assert repr(source.plain).startswith("<bound <CachedFunction")
    restored = pickle.loads(pickle.dumps(Module().lookup))
    assert restored.key("DE") == Module().lookup.key("DE")


def test_a_receiver_of_another_name_is_refused_at_the_call(cache):
    """It would be an argument, and an instance has no canonical text."""

    class Source:
        @cached(cache_manager=cache)
        def lookup(this, region):  # noqa: N805 -- the point
            return region

        @cached(cache_manager=cache, self_key="tenant", prefix="f")
        def keyed(this, region):  # noqa: N805 -- the point
            return region

        tenant = "a"

    with pytest.raises(InvalidKeyError, match="argument 'this'"):
        Source().lookup("DE")
    assert Source().keyed("DE") == "DE"


def test_self_key_needs_a_receiver(cache):
    """A static method has none."""
    with pytest.raises(ConfigurationError, match="needs a method"):
        cached(cache_manager=cache, self_key="tenant")(staticmethod(lambda region: region))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"self_key": "region"}, "other than an argument's name"),
        ({"self_key": "not a name"}, "name of an attribute"),
        ({"self_key": "tenant", "key": "f:{region}"}, "use it as a field"),
        ({"self_key": "tenant", "key": lambda self, region: region}, "use it as a field"),
    ],
)
def test_a_self_key_that_would_not_count_is_refused(cache, options, message):
    """Else tenants would share entries although the code reads as if they did not."""
    with pytest.raises(ConfigurationError, match=message):
        cached(cache_manager=cache, **{"prefix": "f", **options})(lambda self, region: region)
