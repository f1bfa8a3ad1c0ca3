"""What went wrong with a Redis, in our words: the one place that knows redis-py's errors.

A `TransientError` counts against the server and is worth another attempt, a plain `TierUnavailableError`
counts only, a `RefusedError` does neither: the server is well. A `ServerReplyError` is a mistake of ours.
"""

import ssl
from typing import Any

from redis import exceptions

from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_tls import explain_tls, is_hang_up
from greencache.backends.retry import MovingSlotError, RefusedError, TransientError
from greencache.errors import GreencacheError, ServerReplyError, TierUnavailableError

__all__ = [
    "FOREIGN_ERRORS",
    "TIMEOUTS",
    "closed_by_peer",
    "concerns_slot",
    "explain_failure",
    "explain_reply",
    "hint_for",
    "is_demoted",
    "is_unknown_script",
    "redirect_of",
    "with_outages",
    "without_errors",
]

FOREIGN_ERRORS = (exceptions.RedisError, OSError, ValueError, OverflowError, RecursionError, MemoryError)
"""What redis-py's parsers raise; the last four for replies that no Redis sends."""

_REPLIES = (exceptions.ResponseError, exceptions.BusyLoadingError, exceptions.AuthenticationError)

TIMEOUTS = (exceptions.TimeoutError, TimeoutError)
"""What of these means that nothing came in time."""

_TRANSIENT = frozenset({"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN"})
_CREDENTIALS = frozenset({"NOAUTH", "WRONGPASS"})
_REFUSED = {
    "OOM": "its memory is full and its policy evicts nothing",
    "MISCONF": "it takes no writes because it cannot save to its disk",
    "READONLY": "it is a replica and takes no writes",
    "NOREPLICAS": "it takes no writes while too few replicas follow it",
    "NOPERM": "our user may not do this",
    "MOVED": "it is a node of a Cluster, and another node has this key",
    "ASK": "it is a node of a Cluster, and another node has this key",
}
_LONGEST_REPLY = 200


def explain_reply(address: RedisAddress, error: Exception, *, may_have_run: bool) -> GreencacheError:
    """Return our error for an error reply.

    Args:
        address: Who sent it.
        error: The reply as redis-py's exception.
        may_have_run: Whether other commands of the same batch may have been executed.
    """
    code, text = _split(error)
    said = f"{code} {address.scrub(text)}".strip()
    if code == "TRYAGAIN":
        return MovingSlotError(f"Redis {address.label}: {said}", may_have_run=may_have_run)
    if code in _TRANSIENT or "max number of clients" in text:
        return TransientError(f"Redis {address.label} is not ready: {said}", may_have_run=may_have_run)
    if code in _CREDENTIALS or isinstance(error, exceptions.AuthenticationError):
        return TierUnavailableError(
            f"Redis {address.label} does not accept our login: {said}; check username and password"
        )
    if code in _REFUSED:
        return RefusedError(f"Redis {address.label} refused a command: {_REFUSED[code]} ({said})")
    return ServerReplyError(f"Redis {address.label} answered with an error: {said}", code)


def redirect_of(error: Any) -> tuple[str, int, str, int] | None:
    """Return "MOVED" or "ASK", the slot, and host and port of who is to be asked instead, if that is said.

    The host is empty where the node does not know it: then it is the one that was asked.
    """
    if isinstance(error, exceptions.MovedError | exceptions.AskError):
        kind = "ASK" if not isinstance(error, exceptions.MovedError) else "MOVED"
        return kind, int(error.slot_id), str(error.host), int(error.port)
    return None


def concerns_slot(error: Exception) -> bool:
    """Return whether an error reply tells of a slot, and not of the whole node."""
    code, text = _split(error)
    # A Cluster that wants all slots covered refuses everything while one is not: then no node is of use.
    return code == "TRYAGAIN" or (code == "CLUSTERDOWN" and "slot not served" in text)


def is_demoted(error: Exception) -> bool:
    """Return whether a server refused a write because it is a replica."""
    return _split(error)[0] == "READONLY"


def _split(error: Exception) -> tuple[str, str]:
    # Some servers repeat the arguments of a wrong command, and these are the user's.
    text = str(error).partition(", with args beginning with")[0][:_LONGEST_REPLY]
    code = getattr(error, "status_code", None)
    if code:
        return code, text
    first, _, rest = text.partition(" ")
    return (first, rest) if first.isupper() else ("ERR", text)


def explain_failure(address: RedisAddress, error: Exception, *, may_have_run: bool) -> GreencacheError:
    """Return our error for an exchange that did not come to its end.

    Args:
        address: With whom.
        error: One of `FOREIGN_ERRORS`.
        may_have_run: Whether a command had been sent.
    """
    name = f"Redis {address.label}"
    said = address.scrub(str(error))[:_LONGEST_REPLY]
    match error:
        case exceptions.TimeoutError() | TimeoutError():
            return TransientError(f"{name} did not answer in time", may_have_run=may_have_run)
        case TierUnavailableError():
            return error  # somebody who was asked for the way has explained it already
        case ssl.SSLError() if not is_hang_up(error):
            return explain_tls(name, error, said)
        case Exception() if isinstance(error, _REPLIES) or "max number of clients" in said:
            return explain_reply(address, error, may_have_run=False)
        case OSError() | exceptions.ConnectionError():
            did = "broke the connection" if may_have_run else "cannot be reached"
            return TransientError(
                f"{name} {did}: {said}{hint_for(address, error)}", may_have_run=may_have_run
            )
        case _:
            what = f"{type(error).__name__}: {said}"
            return TierUnavailableError(f"{name} speaks no Redis protocol; is its port right? ({what})")


def hint_for(address: RedisAddress, error: Exception) -> str:
    """Return what may be behind a connection that was closed; nothing if that is plain."""
    # Who hangs up for want of a certificate need not say so: the end may come before the reason.
    is_anonymous = address.scheme == "rediss" and "ssl_certfile" not in address.tls
    if is_anonymous and closed_by_peer(error):
        return "; does it demand a certificate of ours (ssl_certfile)?"
    return ""


def closed_by_peer(error: Exception) -> bool:
    """Return whether the server hung up, as it does with idle connections and when it restarts."""
    if isinstance(error, OSError):
        return is_hang_up(error) or not isinstance(error, TimeoutError | ssl.SSLError)
    return type(error) is exceptions.ConnectionError


def without_errors(replies: list[Any]) -> list[Any]:
    """Return replies as they are.

    Raises:
        GreencacheError: The first that is one.
    """
    for reply in replies:
        if isinstance(reply, GreencacheError):
            raise reply
    return replies


def with_outages(replies: list[Any]) -> list[Any]:
    """Return replies with errors among them that tell of an outage, unless all do.

    Raises:
        GreencacheError: The first other error; the first of all where there is nothing else.
    """
    outages = [reply for reply in replies if isinstance(reply, TierUnavailableError)]
    if len(outages) == len(replies):
        return without_errors(replies)
    without_errors([reply for reply in replies if not isinstance(reply, TierUnavailableError)])
    return replies


def is_unknown_script(reply: Any) -> bool:
    """Return whether the server does not know the script that it should run."""
    return isinstance(reply, ServerReplyError) and reply.code == "NOSCRIPT"
