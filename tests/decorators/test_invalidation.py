"""`cached_with_invalidation`: writers drop what they made wrong."""

import pytest

from greencache.decorators import cached_with_invalidation
from greencache.errors import ConfigurationError, InvalidKeyError, UnsupportedFunctionError


@pytest.fixture
def table():
    """The source of truth."""
    return {"DE": 380, "FR": 60}


@pytest.fixture
def factor(cache, table):
    """A cached reader of the table."""

    @cached_with_invalidation(ttl=300, key="factor:{region}", tags=["eu"], cache_manager=cache)
    def factor(region):
        return table[region]

    return factor


def test_a_writer_makes_the_next_read_fresh(factor, table):
    """The value that the writer wrote is the next one that is read."""

    @factor.invalidated_by
    def set_factor(region, value):
        """Write."""
        table[region] = value
        return "done"

    assert (factor("DE"), factor("FR")) == (380, 60)
    table["FR"] = 61
    assert set_factor("DE", value=381) == "done"
    assert (factor("DE"), factor("FR")) == (381, 60)
    assert set_factor.__name__ == "set_factor"
    assert set_factor.__doc__ == "Write."


def test_a_writer_that_fails_drops_nothing(factor, table):
    """Nothing was written, as far as it tells."""

    @factor.invalidated_by
    def set_factor(region):
        raise OSError("read-only")

    factor("DE")
    table["DE"] = 1
    with pytest.raises(OSError, match="read-only"):
        set_factor("DE")
    assert factor("DE") == 380


def test_arguments_that_cannot_be_named_stop_the_write(factor, table):
    """Better no write than one that leaves its old value in the cache."""

    @factor.invalidated_by
    def set_factor(region):
        table.clear()

    with pytest.raises(InvalidKeyError):
        set_factor(object())
    assert table


def test_invalidate_all_drops_every_result_at_once(factor, table, cache):
    """By one tag of the function, beside the tags that were given."""
    factor("DE"), factor("FR")
    assert cache.tags["factor:DE"] == ("eu", factor.tag)
    table.update(DE=1, FR=2)
    factor.invalidate_all()
    assert (factor("DE"), factor("FR")) == (1, 2)
    assert cache.calls.count(("invalidate", (), (factor.tag,))) == 1


def test_a_writer_may_drop_everything_or_by_templates(factor, table):
    """For writers whose arguments have other names, or touch more than one result."""

    @factor.invalidated_by(everything=True)
    def reload():
        table.update(DE=1, FR=2)

    @factor.invalidated_by(keys=["factor:{area}"])
    def set_area(area, value):
        table[area] = value

    @factor.invalidated_by(tags=["eu"])
    def scale(by):
        table.update({region: value * by for region, value in table.items()})

    factor("DE"), factor("FR")
    reload()
    assert (factor("DE"), factor("FR")) == (1, 2)
    table["FR"] = 0
    set_area("DE", 5)
    assert (factor("DE"), factor("FR")) == (5, 2)
    scale(10)
    assert (factor("DE"), factor("FR")) == (50, 0)


def test_default_keys_are_matched_by_all_arguments(cache):
    """With defaults and keyword-only arguments, in any order."""
    value = 1

    @cached_with_invalidation(cache_manager=cache, prefix="f", tags=lambda region, *years, **rest: [region])
    def factor(region, *years, unit="g", **rest):
        return value

    @factor.invalidated_by
    def set_factor(value, unit, region, years=(), rest=()):
        pass

    factor("DE", 2021, 2022, unit="kg")
    value = 2
    set_factor(2, region="DE", unit="g")
    assert factor("DE", 2021, 2022, unit="kg") == 1
    set_factor(2, region="DE", unit="kg", years=(2021, 2022), rest={})
    assert factor("DE", 2021, 2022, unit="kg") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"takes no \['region'\], which .* keeps its results by; say what it invalidates"),
        ({"keys": ["factor:{region}"]}, "names .'region'."),
        ({"tags": ["t:{region}"]}, "names .'region'."),
        ({"tags": "t"}, "expected a sequence of templates"),
    ],
)
def test_a_writer_that_does_not_say_what_to_drop_is_refused(factor, options, message):
    """At decoration, and with the ways out."""

    def set_factor(area, value):
        pass

    with pytest.raises(ConfigurationError, match=message):
        factor.invalidated_by(**options)(set_factor)


def test_a_writer_that_is_not_done_when_it_returns_is_refused(factor):
    """Its drop would come before its write."""

    async def later(region):
        pass

    def some(region):
        yield

    for writer in (later, some):
        with pytest.raises(UnsupportedFunctionError):
            factor.invalidated_by(writer)
    with pytest.raises(UnsupportedFunctionError, match="put @staticmethod above"):
        factor.invalidated_by(staticmethod(lambda region: None))


@pytest.mark.parametrize(
    "options",
    [
        {"key": "f:{tenant}:{region}", "self_key": "tenant"},
        {"self_key": "tenant", "prefix": "f"},
        {"key": lambda self, region: f"{self.tenant}:{region}"},
    ],
)
def test_methods_are_invalidated_by_methods(cache, options):
    """For the same receiver, by its attribute."""

    class Source:
        def __init__(self, tenant):
            self.tenant = tenant
            self.table = {"DE": 1}

        @cached_with_invalidation(cache_manager=cache, **options)
        def factor(self, region):
            return self.table[region]

        @factor.invalidated_by
        def set_factor(self, region, value):
            self.table[region] = value

    one, other = Source("a"), Source("b")
    assert (one.factor("DE"), other.factor("DE")) == (1, 1)
    one.table["DE"] = other.table["DE"] = 2
    one.set_factor("DE", 3)
    assert (one.factor("DE"), other.factor("DE")) == (3, 1)
    one.factor.invalidate_all()
    assert (one.factor("DE"), other.factor("DE")) == (3, 2)


def test_the_cache_of_self_is_the_one_that_is_invalidated(new_cache):
    """Each instance brings its own."""

    class Source:
        def __init__(self):
            self.cache = new_cache()
            self.value = 1

        @cached_with_invalidation(cache_manager=lambda self: self.cache, prefix="f")
        def factor(self):
            return self.value

        @factor.invalidated_by
        def set_factor(self, value):
            self.value = value

    source = Source()
    assert source.factor() == 1
    source.set_factor(2)
    assert source.factor() == 2
    source.value = 3
    source.factor.invalidate_all()
    assert source.factor() == 3
    with pytest.raises(TypeError, match="needs the receiver"):
        Source.factor.invalidate_all()


def test_a_writer_without_self_cannot_invalidate_what_hangs_on_self(cache):
    """Refused when it is decorated."""

    class Source:
        @cached_with_invalidation(cache_manager=cache, prefix="f", self_key="tenant")
        def factor(self, region):
            return region

    with pytest.raises(ConfigurationError, match="has no `self`"):
        Source.factor.invalidated_by(lambda region: None)


def test_a_plain_function_may_invalidate_a_method(cache):
    """Where neither key nor cache hangs on self."""

    class Source:
        value = 1

        @cached_with_invalidation(cache_manager=cache, prefix="f")
        def factor(self, region):
            return self.value

    @Source.factor.invalidated_by
    def set_factor(region):
        Source.value = 2

    assert Source().factor("DE") == 1
    set_factor("DE")
    assert Source().factor("DE") == 2
