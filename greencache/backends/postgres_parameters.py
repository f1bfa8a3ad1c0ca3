"""How to reach a PostgreSQL server: libpq's parameters, made from a URL and time limits."""

import math
from collections.abc import Mapping
from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from greencache.errors import ConfigurationError
from greencache.options import check_duration
from greencache.typing import Seconds

__all__ = ["connection_options", "connection_parameters", "described"]


def connection_parameters(
    url: str, *, timeout: Seconds, connect_timeout: Seconds, statement_timeout: Seconds | None
) -> dict[str, Any]:
    """Return libpq's parameters; what the URL says itself goes before.

    Args:
        url: `postgresql://…` or `key=value` words.
        timeout: Seconds after which unacknowledged bytes end a connection.
        connect_timeout: Seconds to make a connection.
        statement_timeout: Seconds after which the server ends a statement; `None` to leave that to it.

    Raises:
        ConfigurationError: If it cannot be parsed.
    """
    try:
        given = conninfo_to_dict(url)
    except (ProgrammingError, AttributeError, UnicodeError):
        # Not text, or no URL. libpq's own message quotes what it could not parse: perhaps a password.
        raise ConfigurationError(
            "expected a URL such as postgresql://user@host:5432/database, got text that is not one"
        ) from None
    defaults: dict[str, Any] = {
        "application_name": "greencache",
        "client_encoding": "UTF8",
        "connect_timeout": max(2, math.ceil(check_duration("connect_timeout", connect_timeout))),
        # A peer that has vanished: idle connections are probed, and bytes that nobody acknowledges end one.
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": max(1, round(timeout * 1000)),
    }
    parameters = {**defaults, **{name: value for name, value in given.items() if value is not None}}
    if statement_timeout is not None:
        limit = max(1, round(check_duration("statement_timeout", statement_timeout) * 1000))
        # Each statement of ours is right under READ COMMITTED, which re-reads the rows it has waited for;
        # under a stricter default it would fail instead.
        settings = f"-c statement_timeout={limit} -c default_transaction_isolation=read\\ committed"
        parameters["options"] = f"{settings} {parameters.get('options', '')}".strip()
    return parameters


def connection_options(prepare_threshold: int | None) -> dict[str, Any]:
    """Return the arguments of psycopg's `connect`: every statement commits by itself."""
    return {"autocommit": True, "prepare_threshold": prepare_threshold}


def described(parameters: Mapping[str, Any]) -> str:
    """Return host, port and database, without user and password."""
    host = parameters.get("hostaddr") or parameters.get("host") or "localhost"
    return f"{host}:{parameters.get('port', 5432)}/{parameters.get('dbname', '')}"
