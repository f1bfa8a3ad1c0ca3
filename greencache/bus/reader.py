"""Reading the log of the Redis bus over a connection of one's own."""

from greencache.backends.redis import RedisListener
from greencache.backends.scripts import load_script
from greencache.bus import stream
from greencache.bus.stream import Position, Record
from greencache.errors import DecodeError
from greencache.typing import Seconds

__all__ = ["BATCH", "GapError", "LogReader"]

BATCH = 100
"""Messages in one reply: what a listener that was away holds in memory at once."""


class GapError(Exception):
    """Messages were missed, or one could not be applied."""


class LogReader:
    """Asks one server about one log.

    Args:
        connection: Used by nobody else.
        name: What the log is called.
        patience: Seconds to wait for a message where there is none.
    """

    def __init__(self, connection: RedisListener, name: bytes, patience: Seconds) -> None:
        self._connection = connection
        self._name = name
        self._milliseconds = max(1, round(patience * 1000))
        self._tail_script = load_script("tail")

    def tail(self) -> Position | None:
        """Return where the log ends; `None` if it is empty."""
        return stream.parse_tail(self._connection.execute(b"EVAL", self._tail_script.text, 1, self._name))

    def after(self, position: Position) -> list[Record]:
        """Return what follows on a position, waiting for it.

        Raises:
            DecodeError: If something else lies in the log.
        """
        reply = self._connection.execute(
            b"XREAD",
            b"COUNT",
            BATCH,
            b"BLOCK",
            self._milliseconds,
            b"STREAMS",
            self._name,
            position.identifier,
        )
        return stream.parse_records(reply)

    def reaches_back_to(self, position: Position) -> bool:
        """Return whether the log has the very message at a position, not something else."""
        reply = self._connection.execute(b"XRANGE", self._name, position.identifier, position.identifier)
        try:
            found = stream.parse_records([(self._name, reply)] if reply else None)
        except DecodeError:
            return False
        return bool(found) and found[0].position == position
