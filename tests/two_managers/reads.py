"""Rules that read."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from greencache import MISSING

from .base import INTERRUPTIONS, KEY, OPTIONS, SOME_KEYS, WHO, Interruption, Machine, Options, SourceDownError
from .ledger import Kind, PromiseBrokenError


class Reads(Machine):
    """Whatever is asked for is no older than what was forgotten, and no other key's."""

    @rule(who=WHO, key=KEY)
    def get(self, who: int, key: str) -> None:
        """Read a key."""
        member, (floor,), since = self.look(who, key)
        value = member.cache.get(key, MISSING)
        if value is not MISSING:
            self.ledger.require_servable(key, value, floor, since, stale=False)

    @rule(who=WHO, keys=SOME_KEYS)
    def mget(self, who: int, keys: list[str]) -> None:
        """Read several."""
        member, floors, since = self.look(who, *keys)
        found = member.cache.mget(keys)
        for key, floor in zip(keys, floors, strict=True):
            if key in found:
                self.ledger.require_servable(key, found[key], floor, since, stale=False)

    @rule(who=WHO, key=KEY, options=OPTIONS, interruption=INTERRUPTIONS, fails=st.booleans())
    def get_or_load(
        self, who: int, key: str, options: Options, interruption: Interruption | None, *, fails: bool
    ) -> None:
        """Read or load, which may fail or be interrupted."""
        member, (floor,), since = self.look(who, key)

        def load() -> Any:
            return self.read_source([key], options, interruption, fails=fails)[key].value

        try:
            value = member.cache.get_or_load(key, load, tags=self.tags(key), **options.arguments())
        except SourceDownError:
            return
        self.ledger.require_servable(key, value, floor, since, stale=fails)

    @rule(who=WHO, keys=SOME_KEYS, options=OPTIONS, interruption=INTERRUPTIONS, fails=st.booleans())
    def get_or_load_many(
        self, who: int, keys: list[str], options: Options, interruption: Interruption | None, *, fails: bool
    ) -> None:
        """Read or load several, of which the source may lack some."""
        member, floors, since = self.look(who, *keys)
        # Those of a call are those of all its keys.
        tags = sorted({tag for key in keys for tag in self.tags(key)})

        def load(wanted: list[str]) -> dict[str, Any]:
            read = self.read_source(wanted, options, interruption, fails=fails)
            return {key: each.value for key, each in read.items() if each.kind is not Kind.ABSENT}

        try:
            found = member.cache.get_or_load_many(keys, load, tags=tags, **options.arguments())
        except SourceDownError:
            return
        for key, floor in zip(keys, floors, strict=True):
            if key in found:
                self.ledger.require_servable(key, found[key], floor, since, stale=fails)
            elif not self.ledger.may_be_absent(key, floor):
                raise PromiseBrokenError(f"{key} was left out, and the source has always had it")

    @rule(who=WHO, key=KEY, options=OPTIONS)
    def load_and_get(self, who: int, key: str, options: Options) -> None:
        """Load, and find that again without a load."""
        # Who has not heard all cannot prove the tags that a loader adds, and keeps nothing under them.
        hears_all = self.member(who).heard >= max(each.published for each in self.world.members)
        self.get_or_load(who, key, options, None, fails=False)
        member, _, _ = self.look(who, key)
        value = member.cache.get(key, MISSING)
        # That a key is known not to exist is found by loads alone.
        is_known_to_be = not self.ledger.may_be_absent(key, 0)
        if hears_all and member.is_trusted and self.world.is_up and is_known_to_be and value is MISSING:
            raise PromiseBrokenError(f"{key} was just loaded, and is not kept")
