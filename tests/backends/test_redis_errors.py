"""What redis-py raises, in our words: what is tried again, what counts, what is our own mistake."""

import ssl

import pytest
from redis import exceptions
from redis._parsers import _RESP2Parser

from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_errors import closed_by_peer, concerns_slot, explain_failure, explain_reply
from greencache.backends.retry import MovingSlotError, RefusedError, TransientError
from greencache.errors import SecureConnectionError, ServerReplyError, TierUnavailableError

CANARY = "c4n4ry-pa55word"
ADDRESS = RedisAddress.parse(f"redis://:{CANARY}@cache.example:6380")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("LOADING Redis is loading the dataset in memory", TransientError),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL", TransientError),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", TransientError),
        ("CLUSTERDOWN The cluster is down", TransientError),
        ("TRYAGAIN Multiple keys request during rehashing of slot", MovingSlotError),
        ("ERR max number of clients reached", TransientError),
        ("NOAUTH Authentication required.", TierUnavailableError),
        ("WRONGPASS invalid username-password pair or user is disabled.", TierUnavailableError),
        ("ERR invalid password", TierUnavailableError),
        ("OOM command not allowed when used memory > 'maxmemory'.", RefusedError),
        ("MISCONF Redis is configured to save RDB snapshots", RefusedError),
        ("READONLY You can't write against a read only replica.", RefusedError),
        ("NOREPLICAS Not enough good replicas to write.", RefusedError),
        ("NOPERM this user has no permissions to run the 'eval' command", RefusedError),
        ("MOVED 3999 127.0.0.1:6381", RefusedError),
        ("ASK 3999 127.0.0.1:6381", RefusedError),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", ServerReplyError),
        ("NOSCRIPT No matching script. Please use EVAL.", ServerReplyError),
        ("ERR unknown command 'FOO'", ServerReplyError),
        ("ERR Error running script (call to f_ab): @user_script:1: oops", ServerReplyError),
        ("oops", ServerReplyError),
    ],
)
def test_each_error_reply_has_its_kind(reply, kind):
    """As redis-py's parser hands it over."""
    fault = explain_reply(ADDRESS, _RESP2Parser.parse_error(reply), may_have_run=False)
    assert type(fault) is kind
    assert "cache.example:6380" in str(fault)
    if reply.partition(" ")[0].isupper():
        assert reply in str(fault)
    if isinstance(fault, ServerReplyError):
        assert fault.code == (reply.partition(" ")[0] if reply != "oops" else "ERR")


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (exceptions.TimeoutError("Timeout reading from socket"), TransientError, "did not answer in time"),
        (TimeoutError("timed out"), TransientError, "did not answer in time"),
        (ConnectionRefusedError(111, "Connection refused"), TransientError, "cannot be reached"),
        (exceptions.ConnectionError("Connection closed by server."), TransientError, "closed by server"),
        (exceptions.BusyLoadingError("is loading", status_code="LOADING"), TransientError, "not ready"),
        (
            exceptions.ConnectionError("max number of clients reached"),
            TransientError,
            "max number of clients",
        ),
        (exceptions.AuthenticationError("nope", status_code="WRONGPASS"), TierUnavailableError, "login"),
        (exceptions.AuthenticationError("Invalid Username or Password"), TierUnavailableError, "login"),
        (
            exceptions.InvalidResponse("Protocol Error: b'HTTP/1.1'"),
            TierUnavailableError,
            "no Redis protocol",
        ),
        (ValueError("invalid literal for int()"), TierUnavailableError, "no Redis protocol"),
        (RecursionError("too deep"), TierUnavailableError, "no Redis protocol"),
        (ssl.SSLCertVerificationError("certificate has expired"), SecureConnectionError, "has expired"),
        (
            exceptions.ResponseError("DB index is out of range", status_code="ERR"),
            ServerReplyError,
            "DB index",
        ),
    ],
)
def test_each_failure_has_its_kind(error, kind, says):
    """Of the network, of the login, of what is no Redis."""
    fault = explain_failure(ADDRESS, error, may_have_run=False)
    assert type(fault) is kind
    assert says in str(fault)
    assert "cache.example:6380" in str(fault)


def test_says_whether_the_command_may_have_run():
    """A time-out after it was sent leaves that open; a refused connection does not."""
    assert explain_failure(ADDRESS, TimeoutError(), may_have_run=True).may_have_run
    assert not explain_failure(ADDRESS, ConnectionRefusedError(), may_have_run=False).may_have_run


def test_repeats_neither_password_nor_arguments():
    """Not even when the server does."""
    text = f"unknown command 'GETT', with args beginning with: 'users-secret' '{CANARY}'"
    told = exceptions.ResponseError(f"ERR {CANARY} " + "x" * 500)
    for error in (exceptions.ResponseError(text, status_code="ERR"), told):
        for explain in (explain_reply, explain_failure):
            said = str(explain(ADDRESS, error, may_have_run=False))
            assert CANARY not in said
            assert "users-secret" not in said
            assert len(said) < 400


@pytest.mark.parametrize(
    ("error", "is_closed"),
    [
        (ConnectionResetError(), True),
        (BrokenPipeError(), True),
        (exceptions.ConnectionError("Connection closed by server."), True),
        (TimeoutError(), False),
        (exceptions.TimeoutError(), False),
        (exceptions.AuthenticationError(), False),
        (exceptions.BusyLoadingError(), False),
        (ssl.SSLError(), False),
        (exceptions.InvalidResponse(), False),
    ],
)
def test_knows_a_server_that_hung_up(error, is_closed):
    """Which is worth one attempt over a fresh connection; slowness and refusals are not."""
    assert closed_by_peer(error) is is_closed


@pytest.mark.parametrize(
    ("text", "is_of_slot"),
    [
        ("TRYAGAIN Multiple keys request during rehashing of slot", True),
        ("CLUSTERDOWN Hash slot not served", True),
        ("CLUSTERDOWN The cluster is down", False),
        ("LOADING Redis is loading the dataset in memory", False),
    ],
)
def test_what_is_about_a_slot_says_nothing_of_the_node(text, is_of_slot):
    """A Cluster that is down as a whole is left alone; one that lacks a slot has others."""
    assert concerns_slot(exceptions.ResponseError(text)) is is_of_slot
