"""The stamps that a Redis keeps for all processes, when it is the authority."""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from greencache.backends.redis import RedisManager
from greencache.backends.redis_names import RedisNames
from greencache.backends.redis_scripts import Left
from greencache.backends.retry import TransientError
from greencache.backends.scripts import load_script
from greencache.tiers.base import StampSeed
from greencache.tiers.redis_inspection import chunks

__all__ = ["RedisStamps"]

_TAG_LIFE = 30 * 86_400
"""Seconds; keeps the stamps of tags that nobody uses any more from piling up."""
_LONGEST = 100
"""Bytes; every stamp is shorter, and an entry has room for it."""


class RedisStamps:
    """Reads and replaces stamps.

    Args:
        manager: Talks to the server.
        names: Where stamps are.
        read: Returns what is under some names, `None` where nothing is.
    """

    def __init__(
        self,
        manager: RedisManager,
        names: RedisNames,
        read: Callable[[Sequence[bytes]], list[bytes | None]],
    ) -> None:
        self._manager = manager
        self._names = names
        self._read = read
        self._read_living = load_script("stamps")

    def read(self, tags: Iterable[str], seed: StampSeed | None = None) -> dict[str, str]:
        """Return the current stamp of each tag; a missing one is created, once for all processes.

        Args:
            tags: What to read.
            seed: Returns the stamps that missing ones are created with, as far as it knows them.
        """
        wanted = list(dict.fromkeys(tags))
        found = self._found(wanted, self._read_used(wanted))
        missing = [tag for tag in wanted if tag not in found]
        if not missing:
            return found
        return found | self._create(missing, seed(missing) if seed else {})

    def find(self, tags: Iterable[str]) -> dict[str, str]:
        """Return the current stamps of the tags that have one, create none, and let none live longer."""
        wanted = list(dict.fromkeys(tags))
        return self._found(wanted, self._read([self._names.stamp(tag) for tag in wanted]))

    def replace(self, stamps: Mapping[str, str]) -> None:
        """Make these the current stamps of their tags."""
        # Repeated, it could bring back a stamp that others have replaced since its first arrival.
        self._manager.execute_many([self._set(tag, stamp) for tag, stamp in stamps.items()], repeatable=False)

    def _read_used(self, tags: Sequence[str]) -> list[bytes | None]:
        """Return what is there, which lives on because it is used."""
        calls = [
            ([self._names.stamp(tag) for tag in part], [_TAG_LIFE if tag else 0 for tag in part])
            for part in chunks(tags)
        ]
        replies = self._manager.run_script_many(self._read_living, calls, apart=self._read_each)
        return [stamp for part in replies for stamp in part]

    def _read_each(self, names: Sequence[bytes], lives: Sequence[int], left: Left) -> list[bytes | None]:
        """Do the same one by one, while a Cluster moves them to another node."""
        calls = [([name], [life]) for name, life in zip(names, lives, strict=True)]
        replies = self._manager.run_script_many(self._read_living, calls, deadline=left())
        return [stamp for (stamp,) in replies]

    @staticmethod
    def _found(tags: Sequence[str], stamps: Sequence[bytes | None]) -> dict[str, str]:
        """Return the stamps among what was read; what cannot be one is not there."""
        read = {tag: _text(stamp) for tag, stamp in zip(tags, stamps, strict=True)}
        return {tag: text for tag, text in read.items() if text}

    def _create(self, tags: Sequence[str], seeds: Mapping[str, str]) -> dict[str, str]:
        proposed = {tag: seeds.get(tag) or secrets.token_hex(12) for tag in tags}
        self._propose([(*self._set(tag, stamp), b"NX") for tag, stamp in proposed.items()])
        # Another process may have been first: what is there now is what all of them will read.
        found = self.find(tags)
        if len(found) < len(proposed):
            found |= self._overwrite([tag for tag in tags if tag not in found])
        return found

    def _propose(self, proposals: Sequence[tuple[Any, ...]]) -> None:
        now = self._manager.clock.now
        end = now() + self._manager.deadline
        try:
            # Late, it could bring back a stamp that was replaced since, and whose successor was evicted.
            self._manager.execute_many(proposals, repeatable=False)
        except TransientError as failure:
            left = end - now()
            if not failure.may_have_run or left <= 0:
                raise
            # The server ends what was sent before: by then that has run, or never will.
            self._manager.execute_many(proposals, deadline=left, repeatable=False)

    def _overwrite(self, tags: Sequence[str]) -> dict[str, str]:
        """Create stamps where something else is, which no stamp has replaced."""
        # New ones, whoever has another by now: one from below may have been replaced meanwhile.
        proposed = {tag: secrets.token_hex(12) for tag in tags}
        self.replace(proposed)
        # If one was evicted already, the proposal is nobody's stamp, and what is stored with it is absent.
        return proposed | self.find(tags)

    def _set(self, tag: str, stamp: str) -> tuple[bytes | str | int, ...]:
        # A stamp that ends makes the entries under its tag absent once in a month: that forgets, it never
        # resurrects. The namespace is spared, since everything in it would have to be loaded at once.
        life: tuple[bytes | int, ...] = (b"EX", _TAG_LIFE) if tag else ()
        return (b"SET", self._names.stamp(tag), stamp, *life)


def _text(stamp: bytes | None) -> str:
    """Return a stamp as text; empty if it is none."""
    if stamp is None or len(stamp) > _LONGEST:
        return ""
    try:
        return stamp.decode()
    except UnicodeDecodeError:
        return ""
