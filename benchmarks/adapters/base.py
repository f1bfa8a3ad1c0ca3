"""What a contender must be able to do."""

import abc
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeVar

__all__ = ["TAG", "Contender", "Loading", "Sharing", "why_not"]

TAG = "bench"
"""The tag that all values carry where a contender has tags."""


class Contender(abc.ABC):
    """One way to cache over a Redis; each process and each benchmark opens its own.

    Libraries are imported when it is opened: one that is missing is a finding about that contender only.
    """

    name: ClassVar[str]
    note: ClassVar[str] = ""
    """What a reader of its figures must know."""

    @abc.abstractmethod
    def __init__(self, url: str) -> None:
        """Connect to a Redis."""

    def close(self) -> None:  # noqa: B027 -- not all hold something that must be given back
        """Give back what it holds."""


class Loading(Contender):
    """One that loads what it does not have."""

    @abc.abstractmethod
    def get_or_load(self, key: str, loader: Callable[[], bytes]) -> object:
        """Return the value of a key, by the loader if need be."""


class Sharing(Contender):
    """One whose processes share values, and may keep copies."""

    lacks: ClassVar[Mapping[str, str]] = {}
    """Ways of invalidation, "key" or "tag", that it does not have, and what it has instead."""

    @abc.abstractmethod
    def store(self, key: str, value: bytes) -> None:
        """Keep a value, under the tag if there are tags."""

    @abc.abstractmethod
    def get(self, key: str) -> object:
        """Return what is kept, from this process's own copy if there is one."""

    @abc.abstractmethod
    def invalidate_key(self, key: str) -> None:
        """Return when the value is invalid for everybody, as far as the contender promises that."""

    def invalidate_tag(self, tag: str) -> None:
        """Do so for all values that carry the tag."""
        raise NotImplementedError(f"{self.name} has no tags to invalidate {tag!r} by")


C = TypeVar("C", bound=Contender)


def why_not(contender: type[C], url: str, use: Callable[[C], object]) -> str | None:
    """Return why a contender cannot be measured here, or `None`.

    Args:
        contender: Which.
        url: The Redis.
        use: Does with it, once, what is to be measured.
    """
    try:
        opened = contender(url)
    except ImportError as error:
        return f"not installed: {error}"
    except Exception as error:
        # Whatever keeps it from working is what the table is to say.
        return f"not usable: {error}"
    try:
        use(opened)
    except Exception as error:
        return f"not usable: {error}"
    finally:
        opened.close()
    return None
