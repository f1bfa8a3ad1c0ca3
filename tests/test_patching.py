"""Monkey patching that comes too late is refused, and only that."""

import sys
import types

import pytest

from greencache.errors import ConfigurationError
from greencache.patching import is_patched, refuse_late_patch


@pytest.fixture
def patched(monkeypatch):
    """Make this process look as if gevent had patched it."""
    monkey = types.SimpleNamespace(is_module_patched=lambda name: name == "socket")
    monkeypatch.setitem(sys.modules, "gevent.monkey", monkey)


def test_a_process_without_gevent_is_not_patched(monkeypatch):
    """And may go on."""
    monkeypatch.delitem(sys.modules, "gevent.monkey", raising=False)
    assert not is_patched()
    refuse_late_patch(was_patched=False)


def test_a_patch_since_is_refused(patched):
    """The message says what to do."""
    assert is_patched()
    with pytest.raises(ConfigurationError, match="call it first"):
        refuse_late_patch(was_patched=False)


def test_a_patch_from_the_beginning_is_fine(patched):
    """That is how it should be."""
    refuse_late_patch(was_patched=True)
