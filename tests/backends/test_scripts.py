"""Scripts and their digests."""

import hashlib

import pytest

from greencache.backends.scripts import Script, load_script
from greencache.errors import ConfigurationError


def test_the_digest_is_the_one_by_which_servers_know_it(new_manager, redis_url):
    """SHA-1 of the text."""
    script = Script.from_text("one", "return 1 -- é")
    assert script.sha == hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()
    assert new_manager(redis_url).execute("SCRIPT", "LOAD", script.text) == script.sha.encode()


def test_a_script_that_is_not_there_is_named():
    """With what to look for."""
    with pytest.raises(ConfigurationError, match=r"no-such\.lua"):
        load_script("no-such")
