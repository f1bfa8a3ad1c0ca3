"""Where a Redis is and who we are to it, read from a URL; never shows a password."""

import dataclasses
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from greencache.backends.redis_login import Password, PasswordSource
from greencache.backends.redis_tls import TLS_OPTIONS, check_tls
from greencache.errors import ConfigurationError

__all__ = ["RedisAddress"]

_FORMS = (
    "redis://[user:password@]host[:port][/db], rediss://... for TLS, or unix://[user:password@]/path[?db=0]"
)
_DEFAULT_PORT = 6379


@dataclasses.dataclass(frozen=True, slots=True)
class RedisAddress:
    """One server and the login to it.

    Args:
        scheme: "redis", "rediss" or "unix".
        host: Name or address; empty for a unix socket.
        port: TCP port.
        path: File of a unix socket.
        db: Number of the database.
        username: ACL user; `None` for the default user.
        password: Its password.
        source: Where the password comes from instead, if it changes.
        tls: The `ssl_…` options of the URL.
        name: What it is called in messages, instead of host and port.
    """

    scheme: str
    host: str = ""
    port: int = _DEFAULT_PORT
    path: str = ""
    db: int = 0
    username: str | None = dataclasses.field(default=None, repr=False)
    password: str | None = dataclasses.field(default=None, repr=False)
    source: PasswordSource | None = dataclasses.field(default=None, repr=False)
    tls: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    name: str = ""

    @classmethod
    def parse(cls, url: str, username: str | None = None, password: Password = None) -> "RedisAddress":
        """Read a URL.

        Args:
            url: In one of the forms redis://, rediss://, unix://.
            username: Instead of the URL's.
            password: Instead of the URL's; a function is asked for it at each login.

        Raises:
            ConfigurationError: For anything else. The message repeats nothing of the URL but its scheme and
                the names of its options: a password with a stray "@" or "/" can end up in any other part.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ConfigurationError(
                f"expected a URL such as {_FORMS}; host or port of the one given cannot be read. "
                "Percent-encode @ : / ? # in a password"
            ) from None
        if parts.scheme not in {"redis", "rediss", "unix"}:
            raise ConfigurationError(f"expected a URL such as {_FORMS}, got a scheme of {parts.scheme!r}")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        database = options.pop("db", None)
        if unknown := options.keys() - TLS_OPTIONS:
            raise ConfigurationError(
                f"expected only db and {', '.join(sorted(TLS_OPTIONS))} as options in a Redis URL, "
                f"got {', '.join(sorted(unknown))}; time limits and sizes are arguments of RedisManager"
            )
        check_tls(options)
        is_socket = parts.scheme == "unix"
        user = username or _login(parts.username)
        text = password if isinstance(password, str) else _login(parts.password)
        return cls(
            scheme=parts.scheme,
            host=_host(parts),
            port=port or _DEFAULT_PORT,
            path=unquote(parts.path) if is_socket else "",
            db=_database(database or ("" if is_socket else parts.path.strip("/"))),
            username=user,
            password=None if callable(password) else text,
            source=PasswordSource(password, user) if callable(password) else None,
            tls=options,
        )

    @property
    def label(self) -> str:
        """Its name in messages: "host:port" or the path, unless it has another one."""
        if self.name:
            return self.name
        if self.scheme == "unix":
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def scrub(self, text: str) -> str:
        """Return a text that somebody else wrote without our password in it."""
        if self.source is not None:
            return self.source.scrub(text)
        return text.replace(self.password, "***") if self.password else text


def _host(parts: SplitResult) -> str:
    if parts.scheme != "unix":
        return unquote(parts.hostname or "localhost")
    if not parts.path.strip("/"):
        raise ConfigurationError(f"expected the path of a socket in a unix:// URL, as in {_FORMS}; got none")
    return ""


def _login(quoted: str | None) -> str | None:
    return unquote(quoted) if quoted else None


def _database(text: str) -> int:
    if not text:
        return 0
    if text.isascii() and text.isdigit():
        return int(text)
    raise ConfigurationError(f"expected the number of a database in a Redis URL ({_FORMS}); got no number")
