"""Caches over real servers."""

import contextlib

import pytest

from greencache import CacheManager
from tests.faults.figures import figure, is_long, pytest_terminal_summary

__all__ = ["figure", "is_long", "pytest_terminal_summary"]


class Fleet:
    """Makes caches that share servers, as processes on one host or on several would.

    Args:
        l3: The address of the shared Redis.
        l4: The address of PostgreSQL.
        new_host: Starts the Redis of a host and returns its address.
        stack: Closes what was made.
    """

    def __init__(self, l3, l4, new_host, stack):
        self.l3 = l3
        self.l4 = l4
        self._new_host = new_host
        self._stack = stack
        self.l2 = new_host()

    def cache(self, **options):
        """Return a cache of another process on the same host."""
        urls = {"l2": self.l2, "l3": self.l3, "l4": self.l4, "namespace": "fleet"} | options
        return self._stack.enter_context(CacheManager.from_urls(**urls)).initialize(strict=True)

    def elsewhere(self, **options):
        """Return a cache on another host."""
        return self.cache(l2=self._new_host(), **options)


@pytest.fixture
def fleet(redis_servers):
    """A fleet with a Redis a host and a shared one."""
    with contextlib.ExitStack() as stack:
        yield Fleet(redis_servers().url, None, lambda: redis_servers().url, stack)


@pytest.fixture
def deep_fleet(redis_servers, postgres_url):
    """A fleet with PostgreSQL below."""
    with contextlib.ExitStack() as stack:
        yield Fleet(redis_servers().url, postgres_url, lambda: redis_servers().url, stack)
