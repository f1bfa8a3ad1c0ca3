"""What part of a command goes to which node of a Cluster, and how the replies become one again."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from greencache.backends.redis_protocol import Argument
from greencache.backends.redis_slots import Place, slot_of
from greencache.backends.scripts import Script
from greencache.errors import GreencacheError, InvalidArgumentError

__all__ = ["Part", "Plan"]

_NUMBERED: Final = frozenset({"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"})
_SUMMED: Final = frozenset({"DEL", "UNLINK", "EXISTS", "TOUCH"})
_EVERYWHERE: Final = frozenset({"SCRIPT"})
_ANYWHERE: Final = frozenset(
    {"PING", "ECHO", "INFO", "TIME", "CONFIG", "CLIENT", "CLUSTER", "COMMAND", "DBSIZE", "SCAN", "WAIT"}
)


class Part:
    """A command, or a part of one, that a single node can run.

    Args:
        command: As it is sent.
        slot: Of its keys; `None` if it has none.
        place: Where it must run, whatever the map says.
        script: What it runs by its digest, or what it loads.
    """

    __slots__ = (
        "_pieces",
        "_was_unknown",
        "asked_at",
        "command",
        "fault",
        "is_done",
        "place",
        "reply",
        "script",
        "slot",
    )

    def __init__(
        self,
        command: Sequence[Argument],
        slot: int | None,
        place: Place | None = None,
        script: Script | None = None,
    ) -> None:
        self.command = command
        self.script = script
        self.slot = slot
        self.place = place
        self.reply: Any = None
        self.is_done = False
        self.fault: GreencacheError | None = None
        """Why it is not done yet."""
        self.asked_at: Place | None = None
        """Where its key is for now, while its slot is being moved."""
        self._pieces: list[Part] = []
        self._was_unknown = False

    def finish(self, reply: Any) -> None:
        """Take the reply, which may be one of our errors."""
        self.reply, self.is_done = reply, True

    @classmethod
    def loading(cls, script: Script, place: Place) -> "Part":
        """Return what makes a script known to a node."""
        return cls(("SCRIPT", "LOAD", script.text), None, place, script)

    def note_unknown(self) -> None:
        """Note that a node does not know the script: it has restarted, or was told to forget it.

        Said again, it refuses to be brought any, and the command brings the text.
        """
        if self._was_unknown and self.script is not None:
            self.command = ("EVAL", self.script.text, *self.command[2:])
        self._was_unknown = True

    def divide(self) -> "list[Part]":
        """Return a part for each key instead of this one; nothing where that would not be the same.

        While a slot is being moved, a node runs a command on one key of it, and refuses one on several
        where it has some of them.
        """
        name, *keys = self.command
        if len(keys) > 1 and _name(self.command) in {"MGET", *_SUMMED}:
            self._pieces = [Part((name, key), self.slot) for key in keys]
        return self._pieces

    @property
    def left(self) -> "list[Part]":
        """What is not done yet of it."""
        return [part for part in self._pieces or [self] if not part.is_done]

    @property
    def outcome(self) -> Any:
        """The reply, or why there is none."""
        if not self._pieces:
            return self.reply if self.is_done else self.fault
        outcomes = [piece.outcome for piece in self._pieces]
        for outcome in outcomes:
            if isinstance(outcome, GreencacheError):
                return outcome
        return sum(outcomes) if _name(self.command) in _SUMMED else [value for (value,) in outcomes]


class Plan:
    """The parts of one command.

    Args:
        command: Its name and arguments.
        places: The primaries, for commands that concern all of them.
        script: What it runs by its digest.
    """

    __slots__ = ("_name", "_order", "parts")

    def __init__(
        self, command: Sequence[Argument], places: Iterable[Place], script: Script | None = None
    ) -> None:
        self._name = _name(command)
        self._order: list[list[int]] = []
        self.parts: list[Part]
        if self._name in _EVERYWHERE:
            self.parts = [Part(command, None, place) for place in places]
        elif self._name == "MGET" or self._name in _SUMMED:
            self.parts = self._split(command)
        else:
            self.parts = [Part(command, _slot(self._name, command), script=script)]

    @property
    def outcome(self) -> Any:
        """The reply to the whole command, or the first error of a part."""
        outcomes = [part.outcome for part in self.parts]
        for outcome in outcomes:
            if isinstance(outcome, GreencacheError):
                return outcome
        if len(outcomes) == 1 or self._name in _EVERYWHERE:
            return outcomes[0]
        if self._name in _SUMMED:
            return sum(outcomes)
        return _merged(outcomes, self._order)

    def _split(self, command: Sequence[Argument]) -> list[Part]:
        by_slot: dict[int, list[int]] = {}
        for index, key in enumerate(command[1:]):
            by_slot.setdefault(slot_of(_encoded(key)), []).append(index)
        self._order = list(by_slot.values())
        return [
            Part((command[0], *(command[1 + index] for index in indexes)), slot)
            for slot, indexes in by_slot.items()
        ]


def _merged(outcomes: list[Any], order: list[list[int]]) -> list[Any]:
    merged: list[Any] = [None] * sum(map(len, order))
    for values, indexes in zip(outcomes, order, strict=True):
        for value, index in zip(values, indexes, strict=True):
            merged[index] = value
    return merged


def _slot(name: str, command: Sequence[Argument]) -> int | None:
    if name in _ANYWHERE or len(command) == 1:
        return None
    if name in _NUMBERED:
        return slot_of(_encoded(command[3])) if int(command[2]) else None
    if name in {"XREAD", "XREADGROUP"}:
        words = [_text(word).upper() for word in command]
        return slot_of(_encoded(command[words.index("STREAMS") + 1]))
    return slot_of(_encoded(command[1]))


def _name(command: Sequence[Argument]) -> str:
    return _text(command[0]).upper()


def _text(word: Argument) -> str:
    return word.decode(errors="replace") if isinstance(word, bytes) else str(word)


def _encoded(key: Argument) -> bytes:
    if isinstance(key, bytes):
        return key
    try:
        return str(key).encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(f"expected text that UTF-8 can encode as a key, got {key!a}") from None
