"""A manager of the fewest lines, to see exactly what the decorators ask of one."""

import pytest


class DictManager:
    """Keeps values in a dictionary, and writes down every call."""

    def __init__(self):
        self.values = {}
        self.tags = {}
        self.options = []
        self.calls = []

    def get_or_load(self, key, loader, *, tags=(), **options):
        """Return the value of `key`, loaded if it is not there."""
        self.calls.append(("get_or_load", key))
        if key not in self.values:
            self.options.append(options)
            self.tags[key] = tuple(tags)
            self.values[key] = loader()
        return self.values[key]

    def refresh(self, key, loader, *, tags=(), **options):
        """Return the value of `key`, loaded anew."""
        self.invalidate(key)
        return self.get_or_load(key, loader, tags=tags, **options)

    def invalidate(self, *keys, tags=()):
        """Forget keys and what carries tags."""
        self.calls.append(("invalidate", keys, tuple(tags)))
        for key in [*keys, *(key for key, marks in self.tags.items() if set(marks) & set(tags))]:
            self.values.pop(key, None)


@pytest.fixture
def new_cache():
    """Make managers."""
    return DictManager


@pytest.fixture
def cache(new_cache):
    """An empty manager."""
    return new_cache()
