"""Promises of `greencache.testing` as a module."""

import subprocess
import sys

import pytest

import greencache.testing


def test_every_listed_name_exists():
    """The table of contents tells the truth."""
    for name in greencache.testing.__all__:
        assert getattr(greencache.testing, name).__name__ == name
    assert dir(greencache.testing) == greencache.testing.__all__


def test_an_unknown_name_is_an_attribute_error():
    """Laziness does not hide misspellings."""
    with pytest.raises(AttributeError, match="no attribute 'FakeClok'"):
        _ = greencache.testing.FakeClok


def test_the_plugin_imports_no_driver_and_no_server():
    """Every pytest run of a machine with greencache loads it, before coverage starts."""
    heavy = ["redis", "psycopg", "docker", "testcontainers", "pydantic", "greencache.testing.servers"]
    code = f"import greencache.testing.plugin, sys; print([n for n in {heavy} if n in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
