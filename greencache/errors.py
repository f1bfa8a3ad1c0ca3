"""Every error that greencache raises, as one tree.

    GreencacheError
    ├── ConfigurationError (ValueError)        wrong use, refused when an object is built
    ├── InvalidArgumentError (ValueError)      wrong use of a call
    │   ├── InvalidKeyError                    empty, over-long, not text
    │   ├── InvalidOptionError                 negative or NaN ttl, an option out of its range
    │   ├── IsolationError                     a value of which no copy can be made
    │   └── UnsupportedFunctionError           what a decorator cannot wrap
    ├── SharedValueError (TypeError)           a change to a value that others read too
    ├── CodecError (ValueError)
    │   ├── EncodeError                        a value that the serializer cannot write
    │   └── DecodeError                        bytes that are not an entry, or not of this key
    ├── TierUnavailableError (ConnectionError) a tier did not answer; a read turns it into a miss
    │   └── SecureConnectionError              TLS: a certificate or version that is not to be trusted
    ├── ServerReplyError (RuntimeError)        a server answered a command with an error of its own
    ├── InvalidationPending (ConnectionError)  a drop that could not reach a tier and is queued
    ├── NotReplicatedError (TimeoutError)      a durable write or drop that no replica has acknowledged
    └── LoadTimeoutError (TimeoutError)        a loader, ours or another process's, took too long

Each is also the built-in exception that people already catch. Imports nothing.
"""

__all__ = [
    "CodecError",
    "ConfigurationError",
    "DecodeError",
    "EncodeError",
    "GreencacheError",
    "InvalidArgumentError",
    "InvalidKeyError",
    "InvalidOptionError",
    "InvalidationPending",
    "IsolationError",
    "LoadTimeoutError",
    "NotReplicatedError",
    "SecureConnectionError",
    "ServerReplyError",
    "SharedValueError",
    "TierUnavailableError",
    "UnsupportedFunctionError",
]


class GreencacheError(Exception):
    """Base of all errors raised by greencache."""


class ConfigurationError(GreencacheError, ValueError):
    """A cache, a tier or a codec was described in a way that cannot work."""


class InvalidArgumentError(GreencacheError, ValueError):
    """A call got an argument that it cannot use."""


class InvalidKeyError(InvalidArgumentError):
    """A key, tag, pattern or namespace that is empty, too long, or not text."""


class InvalidOptionError(InvalidArgumentError):
    """An entry option out of its range, or a tier that this cache does not have."""


class IsolationError(InvalidArgumentError):
    """A value that cannot be kept apart from those who read it, since no copy of it can be made."""


class UnsupportedFunctionError(InvalidArgumentError):
    """A function whose results cannot be cached, such as a generator."""


class SharedValueError(GreencacheError, TypeError):
    """A change to a value that others read too; `copy.deepcopy` of it is the caller's own."""


class CodecError(GreencacheError, ValueError):
    """A value and its bytes could not be exchanged."""


class EncodeError(CodecError):
    """A value that the serializer in use cannot write."""


class DecodeError(CodecError):
    """Bytes that are damaged, forged, of another version, or written for another key.

    Args:
        message: What was expected and what came; never a part of the value.
        reason: One word to count by, such as "magic", "version", "key", "checksum", "signature" or "type".
    """

    def __init__(self, message: str, reason: str = "payload") -> None:
        super().__init__(message)
        self.reason = reason


class TierUnavailableError(GreencacheError, ConnectionError):
    """A tier did not answer in time, refused to, or its circuit breaker is open."""

    is_outage = True
    """Whether the tier is away as a whole; otherwise it has answered, and refused this one call."""


class SecureConnectionError(TierUnavailableError):
    """No secure connection to a server: one side does not trust the other; the message says what to do."""


class ServerReplyError(GreencacheError, RuntimeError):
    """A server answered a command with an error: a wrong type, a wrong argument, a failing script.

    Args:
        message: What was sent where, and what came back.
        code: The first word of the reply, such as "WRONGTYPE", "NOSCRIPT" or "ERR".
    """

    def __init__(self, message: str, code: str = "ERR") -> None:
        super().__init__(message)
        self.code = code


class InvalidationPending(GreencacheError, ConnectionError):  # noqa: N818 -- a state, not a mistake
    """A drop did not reach every tier; what is missing is queued and will be replayed.

    Args:
        message: What could not be reached.
        pending: For each tier's name, what is queued for it: the first hundred drops, such as "key:a" or
            "stamp:tag", and in a last line how many more.
    """

    def __init__(self, message: str, pending: dict[str, tuple[str, ...]] | None = None) -> None:
        super().__init__(message)
        self.pending: dict[str, tuple[str, ...]] = pending or {}


class NotReplicatedError(GreencacheError, TimeoutError):
    """A durable write or drop is done everywhere, but no replica has acknowledged it in time.

    A failover may undo it in the tiers named, until this process, if it is still there, notices and repeats
    the drop.

    Args:
        message: What was done, and what was not.
        tiers: The names of the tiers whose replicas are silent, or that have none.
    """

    def __init__(self, message: str, tiers: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.tiers = tiers


class LoadTimeoutError(GreencacheError, TimeoutError):
    """A value was not loaded within its time limit."""
