"""What `import greencache` offers, and what it costs."""

import subprocess
import sys

import pytest

import greencache

USERS_NAMES = "CacheManager RedisManager CacheConfig CacheTier cached cached_with_invalidation".split()
USERS_VERBS = "get set delete invalidate mget mset get_stats health_check initialize".split()


def test_every_public_name_can_be_imported():
    """Names are lazy, so a wrong home would show only at the first use."""
    for name in greencache.__all__:
        assert getattr(greencache, name) is not None


def test_the_users_names_are_there():
    """The names that users already know stay."""
    for name in USERS_NAMES:
        assert name in greencache.__all__
    assert [tier.name for tier in greencache.CacheTier] == ["L1", "L2", "L3", "L4"]
    for verb in USERS_VERBS:
        assert callable(getattr(greencache.CacheManager, verb))


def test_unknown_names_are_attribute_errors():
    """A typing error says which name."""
    with pytest.raises(AttributeError, match="CacheManger"):
        greencache.CacheManger  # noqa: B018


def test_importing_loads_nothing_heavy():
    """Neither a driver, nor pydantic, nor asyncio; nor does a cache in memory."""
    code = (
        "import sys, greencache\n"
        "cache = greencache.CacheManager()\n"
        "assert cache.get_or_load('a', lambda: 1) == 1\n"
        "heavy = {'redis', 'psycopg', 'pydantic', 'asyncio', 'structlog', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_all_errors_are_greencache_errors():
    """And each is also what people already catch."""
    from greencache import errors

    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, errors.GreencacheError)
        if kind is not errors.GreencacheError:
            assert issubclass(kind, (ValueError, ConnectionError, TimeoutError, errors.GreencacheError))
