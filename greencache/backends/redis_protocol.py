"""Commands become bytes (RESP), one by one or in batches that no server chokes on."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from greencache.errors import InvalidArgumentError

__all__ = ["BATCH_BYTES", "BATCH_COMMANDS", "Argument", "Client", "pack", "pack_batches"]

Argument: TypeAlias = "str | bytes | int | float"

BATCH_COMMANDS = 1_000
BATCH_BYTES = 1 << 20


class Client(NamedTuple):
    """A connection as its server knows it: by a number that no other one gets as long as that server runs."""

    server: str
    number: int


def pack(command: Iterable[Any]) -> bytes:
    """Return a command as the server reads it.

    Written here rather than taken from hiredis, whose packer crashes the process when a signal handler
    raises inside of it.

    Raises:
        InvalidArgumentError: For an argument that is no text, bytes or number.
    """
    parts = [
        b"$%d\r\n%b\r\n" % (len(part), part)
        for argument in command
        for part in (argument if type(argument) is bytes else _encode(argument),)
    ]
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))


def _encode(argument: Any) -> bytes:
    if type(argument) is int:
        return b"%d" % argument
    if isinstance(argument, str):
        try:
            return argument.encode()
        except UnicodeEncodeError:
            raise InvalidArgumentError(
                f"expected text that UTF-8 can encode as an argument of a command, got {argument!a}"
            ) from None
    if isinstance(argument, int | float) and not isinstance(argument, bool):
        return repr(argument).encode()
    if isinstance(argument, bytes):
        return bytes(argument)
    raise InvalidArgumentError(
        f"expected text, bytes or a number as an argument of a command, got {type(argument).__name__}"
    )


def pack_batches(commands: Iterable[Iterable[Any]]) -> Iterator[tuple[bytes, int]]:
    """Yield packed commands in batches with their counts.

    A batch holds at most `BATCH_COMMANDS` commands and, unless one alone is longer, `BATCH_BYTES` bytes, so
    that a server serves others in between.
    """
    batch: list[bytes] = []
    size = 0
    for command in commands:
        packed = pack(command)
        if batch and (len(batch) == BATCH_COMMANDS or size + len(packed) > BATCH_BYTES):
            yield b"".join(batch), len(batch)
            batch, size = [], 0
        batch.append(packed)
        size += len(packed)
    if batch:
        yield b"".join(batch), len(batch)
