"""Addresses of servers. They may hold passwords, so that nothing but the place is ever shown."""

import enum
import re
import urllib.parse
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Final, Self

from pydantic import SecretStr

from greencache.config.nearest import suggestion
from greencache.errors import ConfigurationError

__all__ = ["PostgresUrl", "RedisTopology", "RedisUrl", "ServerUrl"]

# An `@` belongs between the credentials and the host. One further on is a password that was not
# percent-encoded, and no rule could then tell how much of the text is secret.
_PLACE: Final = re.compile(
    r"(?P<scheme>[a-z0-9+.-]+://)(?:(?P<credentials>[^@/?#]*)@)?(?P<host>[^@/?#]*)"
    r"(?P<path>/[^@?#]*)?(?:\?(?P<options>[^@#]*))?"
)


# One host, or several parted by commas, as libpq takes them; IPv6 in brackets.
_HOST: Final = r"(?:\[[0-9A-Fa-f:.%]+\]|[^:,\[\]]*)(?::[0-9]{1,5})?"


class ServerUrl(SecretStr):
    """An address that shows itself without credentials and options; `get_secret_value()` returns all of it.

    Raises:
        ConfigurationError: If it is no such address. The message does not quote it.
    """

    schemes: ClassVar[Collection[str]] = ()
    example: ClassVar[str] = ""
    hosts: ClassVar[re.Pattern[str]] = re.compile(_HOST)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        scheme, separator, _ = text.partition("://")
        if not separator:
            raise ConfigurationError(f"expected a URL such as {self.example}, got text without ://")
        if scheme not in self.schemes:
            near = suggestion(scheme[:20], self.schemes)
            raise ConfigurationError(f"expected a URL such as {self.example}, got another scheme; {near}")
        match = _PLACE.fullmatch(text)
        if match is None:
            raise ConfigurationError(
                f"expected a URL such as {self.example}; percent-encode what is special in its user name, "
                f"password or options: @ as %40, / as %2F, ? as %3F, # as %23"
            )
        if not self.hosts.fullmatch(match["host"]):
            raise ConfigurationError(f"expected a host and a port as a number, as in {self.example}")
        self._check(match)

    @classmethod
    def parsed(cls, value: Any) -> Any:
        """Return an address made of text; anything else unchanged."""
        # pydantic would make one by itself, but replace the explanation of what is wrong by its own.
        return cls(value) if isinstance(value, str) else value

    def _check(self, place: re.Match[str]) -> None:
        """Refuse what this kind of server cannot mean."""

    @property
    def has_password(self) -> bool:
        """Whether a password is part of the address."""
        parts = urllib.parse.urlsplit(self.get_secret_value())
        return bool(parts.password) or "password" in urllib.parse.parse_qs(parts.query)

    def with_options(self, options: Mapping[str, str]) -> Self:
        """Return the address with options behind it; of one given twice, the last counts."""
        if not options:
            return self
        text = self.get_secret_value()
        # Percent-encoded to the last character: not everybody takes a `+` for a space.
        words = [f"{name}={urllib.parse.quote(value, safe='')}" for name, value in options.items()]
        return type(self)(text + ("&" if "?" in text else "?") + "&".join(words))

    def _display(self) -> str:
        match = _PLACE.fullmatch(self.get_secret_value())
        # An address that was refused has no parts that are safe to show.
        if match is None:
            return "***"
        credentials = "***@" if match["credentials"] else ""
        return f"{match['scheme']}{credentials}{match['host']}{match['path'] or ''}"


class RedisTopology(enum.StrEnum):
    """How a Redis is deployed."""

    STANDALONE = "standalone"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_TOPOLOGIES: Final[Mapping[str, RedisTopology]] = {
    "redis": RedisTopology.STANDALONE,
    "rediss": RedisTopology.STANDALONE,
    "unix": RedisTopology.STANDALONE,
    "redis+sentinel": RedisTopology.SENTINEL,
    "rediss+sentinel": RedisTopology.SENTINEL,
    "redis+cluster": RedisTopology.CLUSTER,
    "rediss+cluster": RedisTopology.CLUSTER,
}
_PATHS: Final[Mapping[RedisTopology, str]] = {
    RedisTopology.STANDALONE: r"/?[0-9]{0,9}",
    RedisTopology.SENTINEL: r"/[^/]+(?:/[0-9]{0,9})?",
    RedisTopology.CLUSTER: r"/?0?",
}


class RedisUrl(ServerUrl):
    """An address of a Redis: `redis://host:6379/0`, `rediss://…` for TLS, `unix:///run/redis.sock?db=0`.

    Several servers: `redis+sentinel://h1,h2,h3/mymaster/0` or `redis+cluster://h1,h2,h3`; with `rediss+…` for
    TLS with all of them.
    """

    schemes = _TOPOLOGIES
    example = "redis://localhost:6379/0"
    hosts = re.compile(rf"{_HOST}(?:,{_HOST})*")

    @property
    def topology(self) -> RedisTopology:
        """How the Redis at this address is deployed."""
        return _TOPOLOGIES[self.get_secret_value().partition("://")[0]]

    def _check(self, place: re.Match[str]) -> None:
        if self.topology is RedisTopology.STANDALONE and "," in place["host"]:
            raise ConfigurationError(
                f"expected one host, as in {self.example}; several make redis+sentinel://h1,h2,h3/mymaster"
            )
        is_socket = place["scheme"] == "unix://"
        # The client takes a database that is no number for database 0, without a word.
        if not is_socket and not re.fullmatch(_PATHS[self.topology], place["path"] or ""):
            if self.topology is RedisTopology.SENTINEL:
                raise ConfigurationError(
                    "expected the name of a service after the sentinels, as in redis+sentinel://h1,h2,h3/mymaster"
                )
            raise ConfigurationError(
                f"expected the number of a database after the host, as in {self.example}"
            )
        if is_socket and (place["host"] or not place["path"]):
            raise ConfigurationError(
                "expected the path of a socket after three slashes, as in unix:///run/redis.sock"
            )
        _check_redis_options(place["options"] or "")


def _check_redis_options(options: str) -> None:
    # An option of the address wins over the configuration in the client, so one could undo a deadline unseen.
    known = ("db", "username", "password", "sentinel_username", "sentinel_password")
    for name in urllib.parse.parse_qs(options, keep_blank_values=True):
        if name not in known and not name.startswith("ssl_"):
            raise ConfigurationError(
                f"{name[:20]!r} cannot be an option of the URL: timeouts, retries and pools have settings of "
                f"their own; known here: {', '.join(known)}, ssl_…"
            )


class PostgresUrl(ServerUrl):
    """An address of a PostgreSQL, as libpq takes it: `postgresql://user@host:5432/database`."""

    schemes = ("postgres", "postgresql")
    example = "postgresql://localhost:5432/postgres"
    hosts = re.compile(rf"{_HOST}(?:,{_HOST})*")
