"""Writing to the log of the Redis bus."""

from greencache.backends.redis import RedisManager
from greencache.backends.scripts import load_script
from greencache.bus import stream
from greencache.bus.base import Message

__all__ = ["Publisher"]


class Publisher:
    """Appends messages to one log.

    Args:
        manager: Talks to the server.
        name: What the log is called.
        max_length: Messages that the log keeps, roughly.
    """

    def __init__(self, manager: RedisManager, name: bytes, max_length: int) -> None:
        self._manager = manager
        self._name = name
        self._max_length = max_length
        self._script = load_script("publish")

    def publish(self, message: Message, origin: bytes) -> int:
        """Append a message, in parts if it is large, and return the number of the last.

        Args:
            message: What to announce.
            origin: Whose it is, so that the listener beside the publisher knows its own.

        Raises:
            TierUnavailableError: If it could not be announced, or not as a whole.
        """
        bodies = [stream.encode_message(part) for part in stream.split(message)]
        numbers = self._manager.run_script_many(
            self._script,
            [([self._name], [self._max_length, stream.new_mark(), origin, body]) for body in bodies],
        )
        return int(numbers[-1])
