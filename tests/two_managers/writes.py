"""Rules that write and forget."""

import contextlib
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from greencache import CacheManager

from .base import DEFAULT_TTL, KEY, OPTIONS, SOME_KEYS, WHO, Machine, Options, SourceDownError
from .ledger import KEYS, PATTERNS, TAGS, Kind

KIND = st.sampled_from([Kind.TEXT, Kind.TEXT, Kind.NONE, Kind.ABSENT])
TTL = st.sampled_from([{}, {"ttl": 1.0}, {"ttl": 5.0}])


class Writes(Machine):
    """After a call that forgets has returned, nothing older is served where that is known."""

    @rule(key=KEY, kind=KIND)
    def change_source(self, key: str, kind: Kind) -> None:
        """Change the source, and tell nobody."""
        self.ledger.change(key, kind)

    @rule(who=WHO, key=KEY, ttl=TTL)
    def set(self, who: int, key: str, ttl: dict[str, float]) -> None:
        """Change the source, and put what it has into the cache."""
        version = self.ledger.change(key)
        self.ledger.store(version, self.world.now, ttl.get("ttl", DEFAULT_TTL), 0.0)
        self.acknowledge(who, [key], lambda cache: cache.set(key, version.value, tags=TAGS[key], **ttl))

    @rule(who=WHO, keys=SOME_KEYS, ttl=TTL)
    def mset(self, who: int, keys: list[str], ttl: dict[str, float]) -> None:
        """Do that with several."""
        versions = {key: self.ledger.change(key) for key in keys}
        for version in versions.values():
            self.ledger.store(version, self.world.now, ttl.get("ttl", DEFAULT_TTL), 0.0)
        values = {key: version.value for key, version in versions.items()}
        tags = sorted({tag for key in keys for tag in TAGS[key]})
        self.acknowledge(who, keys, lambda cache: cache.mset(values, tags=tags, **ttl))

    @rule(who=WHO, key=KEY, fails=st.booleans())
    def write(self, who: int, key: str, *, fails: bool) -> None:
        """Write through the cache to the source, which may fail."""
        value = self.ledger.upcoming(key)

        def writer(_: object) -> None:
            if fails:
                raise SourceDownError
            self.ledger.store(self.ledger.change(key), self.world.now, DEFAULT_TTL, 0.0)

        with contextlib.suppress(SourceDownError):
            self.acknowledge(who, [key], lambda cache: cache.write(key, value, writer, tags=TAGS[key]))

    @rule(who=WHO, key=KEY, changes=st.booleans())
    def delete(self, who: int, key: str, *, changes: bool) -> None:
        """Forget a key."""
        self.change([key], really=changes)
        self.acknowledge(who, [key], lambda cache: cache.delete(key))

    @rule(who=WHO, keys=SOME_KEYS, changes=st.booleans())
    def invalidate_keys(self, who: int, keys: list[str], *, changes: bool) -> None:
        """Forget keys."""
        self.change(keys, really=changes)
        self.acknowledge(who, keys, lambda cache: cache.invalidate(*keys))

    @rule(who=WHO, pattern=st.sampled_from(sorted(PATTERNS)), changes=st.booleans())
    def invalidate_pattern(self, who: int, pattern: str, *, changes: bool) -> None:
        """Forget what matches."""
        keys = PATTERNS[pattern]
        self.change(keys, really=changes)
        self.acknowledge(who, keys, lambda cache: cache.invalidate(pattern=pattern))

    @rule(who=WHO, tag=st.sampled_from(["x", "y", "late"]), changes=st.booleans())
    def invalidate_tag(self, who: int, tag: str, *, changes: bool) -> None:
        """Forget what is under a tag."""
        keys = [key for key in KEYS if tag in TAGS[key]]
        self.change(keys, really=changes)
        self.acknowledge(who, keys, lambda cache: cache.invalidate(tags=[tag]))

    @rule(who=WHO, changes=st.booleans())
    def clear(self, who: int, *, changes: bool) -> None:
        """Forget everything."""
        self.change(KEYS, really=changes)
        self.acknowledge(who, KEYS, lambda cache: cache.clear())

    @rule(who=WHO, key=KEY, options=OPTIONS, fails=st.booleans())
    def refresh(self, who: int, key: str, options: Options, *, fails: bool) -> None:
        """Forget a key, and load it, which may fail."""
        member, _, since = self.look(who, key)
        answers: list[Any] = []

        def load() -> Any:
            return self.read_source([key], options, None, fails=fails)[key].value

        def ask(cache: CacheManager) -> None:
            with contextlib.suppress(SourceDownError):
                answers.append(cache.refresh(key, load, tags=self.tags(key), **options.arguments()))

        if not self.acknowledge(who, [key], ask):
            # It is not looked up when not all could be dropped.
            member.lookups -= 1
        for answer in answers:
            newest = self.ledger.current(key).number
            self.ledger.require_servable(key, answer, newest, since, stale=False)
