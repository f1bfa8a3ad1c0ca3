"""The Lua scripts, one file each, and how they are loaded."""

import functools
import hashlib
from importlib import resources
from typing import NamedTuple

from greencache.errors import ConfigurationError

__all__ = ["Script", "load_script"]


class Script(NamedTuple):
    """A Lua script for Redis.

    Args:
        name: The file it comes from, without suffix.
        text: The source.
        sha: SHA-1 of the source in hexadecimal: the name by which a server knows it.
    """

    name: str
    text: str
    sha: str

    @classmethod
    def from_text(cls, name: str, text: str) -> "Script":
        """Return a script with its digest."""
        return cls(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@functools.cache
def load_script(name: str) -> Script:
    """Return a script of this package by its name.

    Args:
        name: Its file's name without ".lua".

    Raises:
        ConfigurationError: There is no such file.
    """
    try:
        text = resources.files(__name__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(
            f"expected the script {name}.lua beside {__name__}; is the installation whole?"
        ) from None
    return Script.from_text(name, text)
