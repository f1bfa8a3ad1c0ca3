"""What a tier that is down must be told before it is read again."""

import itertools
import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, Self

from greencache.forks import after_fork_in_child
from greencache.keys import ANY_TAG, Pattern
from greencache.typing import Key

__all__ = ["Pending", "PendingDrops", "Queued", "covered_by"]

_Name = tuple[str, str]
_HIDDEN: _Name = ("stamp", ANY_TAG)
"""What is replaced along with others only, and so is not told of."""
_NAMESPACE: _Name = ("stamp", "")
"""What covers all keys; also too many drops to be kept one by one."""
_PROOF: _Name = ("proof", "")
"""What is no drop, but makes the tier wait as they do."""
_UNTOLD = frozenset({_HIDDEN, _PROOF})
_MOST_TOLD = 100
"""How many drops are named where people read it; of others it is only told how many there are."""


class _Marks(tuple[Any, ...]):
    """Up to where a server must have everything: each of them, since it may have been succeeded meanwhile."""

    __slots__ = ()


class Queued(NamedTuple):
    """One drop: what of, when it was queued, and whether everybody has heard of it by an announcement."""

    number: int
    payload: Any
    is_heard: bool

    def after(self, earlier: "Queued | None") -> "Queued":
        """Return this drop as it is queued after another one of the same."""
        if earlier is not None and isinstance(self.payload, _Marks):
            return self._replace(payload=_Marks(dict.fromkeys((*earlier.payload, *self.payload))))
        # What is this process's own to announce stays so.
        is_own = self.is_heard and earlier is not None and not earlier.is_heard
        return self._replace(is_heard=False) if is_own else self


class Pending:
    """Drops that wait for a tier: keys, patterns and stamps, each once, in order.

    Args:
        keys: Keys to drop.
        patterns: Patterns to drop.
        stamps: Stamps to replace, by tag.
        is_heard: Whether they were announced by others, so that everybody who shares the tier makes them too.
    """

    __slots__ = ("queued",)

    def __init__(
        self,
        keys: Iterable[Key] = (),
        patterns: Iterable[Pattern] = (),
        stamps: Mapping[str, str] | None = None,
        *,
        is_heard: bool = False,
    ) -> None:
        payloads: dict[_Name, Any] = {("key", key): key for key in keys}
        payloads.update({("pattern", pattern.text): pattern for pattern in patterns})
        payloads.update({("stamp", tag): (tag, token) for tag, token in (stamps or {}).items()})
        self.queued = {name: Queued(0, payload, is_heard) for name, payload in payloads.items()}

    @classmethod
    def proof(cls, mark: Any) -> Self:
        """Return what makes a tier wait to be read until its server is known to have all up to a mark."""
        return cls.of({_PROOF: Queued(0, _Marks([mark]), is_heard=True)})

    @property
    def marks(self) -> tuple[Any, ...]:
        """The marks up to which the server must have everything."""
        proof = self.queued.get(_PROOF)
        return () if proof is None else proof.payload

    @property
    def drops(self) -> dict[_Name, Queued]:
        """What is queued, by name, but for those."""
        return {name: each for name, each in self.queued.items() if name != _PROOF}

    @classmethod
    def of(cls, queued: Mapping[_Name, Queued]) -> Self:
        """Return drops that were queued."""
        pending = cls()
        pending.queued = dict(queued)
        return pending

    def only(self, keys: Iterable[Key]) -> Self:
        """Return the drops of some keys."""
        return self.of({("key", key): self.queued["key", key] for key in keys})

    @property
    def own(self) -> Self:
        """The drops that others do not know of unless this process announces them."""
        return self.of({name: each for name, each in self.queued.items() if not each.is_heard})

    def _of_kind(self, kind: str) -> list[Any]:
        return [queued.payload for (each, _), queued in self.queued.items() if each == kind]

    @property
    def keys(self) -> list[Key]:
        """The keys to drop."""
        return self._of_kind("key")

    @property
    def patterns(self) -> list[Pattern]:
        """The patterns to drop."""
        return self._of_kind("pattern")

    @property
    def stamps(self) -> dict[str, str]:
        """The stamps to replace, by tag; that of any tag first, as whoever reads stamps relies on."""
        return dict(sorted(self._of_kind("stamp"), key=lambda pair: pair[0] != ANY_TAG))

    def describe(self) -> tuple[str, ...]:
        """Return what waits as text, for an error message: the first hundred, and how many more."""
        return _described(self.queued)


class PendingDrops:
    """A queue of drops that never forgets one silently.

    Args:
        capacity: How many are kept one by one.
        collapse: Returns the few drops that cover any others, for when more come.
    """

    def __init__(self, capacity: int, collapse: Callable[[], Pending]) -> None:
        self._capacity = capacity
        self._collapse = collapse
        self._queued: dict[_Name, Queued] = {}
        self._numbers = itertools.count(1)
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        # What was queued stays queued in the child too: replaying a drop twice is harmless.
        self._lock = threading.Lock()
        self._replay: Pending | None = None

    def __bool__(self) -> bool:
        return bool(self._queued)

    def __len__(self) -> int:
        return _count(self._queued)

    def add(self, more: Pending) -> None:
        """Queue drops; one that is queued already is queued anew, since it may be under replay."""
        queued = self._queued
        is_full = len(queued) + sum(name not in queued for name in more.queued) > self._capacity
        covering = self._collapse() if is_full else None
        with self._lock:
            number = next(self._numbers)
            if covering is not None:
                # Cleared, not taken off one by one: what is under replay is covered by what is queued now.
                kept = self._stamps_of(self._queued, more.queued)
                more = Pending.of(kept | covered_by(covering, self._queued, more.queued).queued)
                self._queued = {}
            for name, drop in more.queued.items():
                self._queued[name] = drop.after(self._queued.get(name))._replace(number=number)

    def _stamps_of(self, *queues: Mapping[_Name, Queued]) -> dict[_Name, Queued]:
        """Return the stamps of queues, which what covers keys need not cover; many as that of all tags."""
        stamps = {name: each for queue in queues for name, each in queue.items() if name[0] == "stamp"}
        # So that room is left: where they filled the queue, the next drop would collapse it again.
        if len(stamps) > self._capacity // 2:
            # Every entry carries the stamp of the namespace too.
            return Pending(stamps={"": secrets.token_hex(8)}).queued
        return stamps

    @property
    def has_stamps(self) -> bool:
        """Whether a stamp waits to be replaced."""
        with self._lock:
            return any(kind == "stamp" for kind, _ in self._queued)

    def untouched(self, keys: Iterable[Key]) -> list[Key]:
        """Return those of some keys that no drop waits for.

        None before the server has proved what it has, nor where all keys are to be dropped.
        """
        with self._lock:
            queued = self._queued
            if _PROOF in queued or _NAMESPACE in queued:
                return []
            patterns = [drop.payload for (kind, _), drop in queued.items() if kind == "pattern"]
            return [
                key
                for key in keys
                if ("key", key) not in queued and not any(pattern.matches(key) for pattern in patterns)
            ]

    def begin(self, replay: Pending) -> bool:
        """Let the one caller at a time that replays begin, and return whether this one may.

        Args:
            replay: Receives what is queued. It stands for the caller, who can so end what has begun even if
                a thread that is being ended never gets this answer.
        """
        with self._lock:
            if self._replay is not None:
                return False
            self._replay = replay
            replay.queued = dict(self._queued)
            return True

    def end(self, replay: Pending, *, is_told: bool) -> None:
        """Let others replay, and take what was replayed off the queue, except what was queued anew.

        Args:
            replay: As given to `begin`; nothing is done for one that was not let begin.
            is_told: Whether it has reached the tier.
        """
        with self._lock:
            if self._replay is not replay:
                return
            self._replay = None
            for name, told in replay.queued.items() if is_told else ():
                queued = self._queued.get(name)
                if queued is not None and queued.number == told.number:
                    del self._queued[name]

    def describe(self) -> tuple[str, ...]:
        """Return what is queued as text, for an error message: the first hundred, and how many more."""
        with self._lock:
            return _described(self._queued)


def covered_by(covering: Pending, *queues: Mapping[_Name, Queued]) -> Pending:
    """Return the drops that cover others; everybody has heard of them if of all that they cover."""
    is_heard = all(drop.is_heard for queue in queues for drop in queue.values())
    return Pending.of({name: each._replace(is_heard=is_heard) for name, each in covering.queued.items()})


def _described(names: Collection[_Name]) -> tuple[str, ...]:
    # The tag without a name is the namespace.
    told = itertools.islice((name for name in names if name not in _UNTOLD), _MOST_TOLD)
    texts = [f"{kind}:{name}" if name else "everything" for kind, name in told]
    more = _count(names) - len(texts)
    return (*texts, f"… and {more} more") if more else tuple(texts)


def _count(names: Collection[_Name]) -> int:
    return len(names) - sum(name in names for name in _UNTOLD)
