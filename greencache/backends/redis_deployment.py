"""How a Redis is deployed, and where: read from a URL; never shows a password."""

import dataclasses
import enum
import re
from typing import Final

from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_login import Password
from greencache.errors import ConfigurationError

__all__ = ["Deployment", "Topology"]

_SENTINEL_PORT: Final = 26379
_FORMS: Final = (
    "redis+sentinel://[user:password@]host[:port],…/service[/db] or redis+cluster://[user:password@]host"
    "[:port],…; with rediss+… for TLS"
)
_SEVERAL: Final = re.compile(
    r"(?P<scheme>rediss?)\+(?P<kind>sentinel|cluster)://(?:(?P<login>[^@/?#]*)@)?(?P<places>[^@/?#]+)"
    r"(?P<path>/[^@?#]*)?(?:\?(?P<options>[^#]*))?"
)
_SENTINEL_LOGIN: Final = re.compile(r"(?:^|&)sentinel_(username|password)=([^&]*)")


class Topology(enum.StrEnum):
    """How the servers behind one address belong together."""

    STANDALONE = "standalone"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclasses.dataclass(frozen=True, slots=True)
class Deployment:
    """The servers behind one URL, and the login to them.

    Args:
        topology: How they belong together.
        seeds: Where to begin: the server itself, the sentinels, or some nodes of the cluster.
        member: A data server: login, TLS and database; its host and port say something only where
            there is just one.
        service: Under which name the sentinels know the primary.
    """

    topology: Topology
    seeds: tuple[RedisAddress, ...]
    member: RedisAddress
    service: str = ""

    @classmethod
    def parse(cls, url: str, username: str | None = None, password: Password = None) -> "Deployment":
        """Read a URL.

        Args:
            url: As of `RedisAddress.parse`, or with redis+sentinel, redis+cluster or, for TLS, rediss+… as
                its scheme and several hosts. The login is that of the data servers; sentinels that want one
                have theirs in the options sentinel_username and sentinel_password.
            username: Instead of the URL's.
            password: Instead of the URL's; a function is asked for it at each login.

        Raises:
            ConfigurationError: For anything else. The message repeats nothing that may be a password.
        """
        if not url.startswith(("redis+", "rediss+")):
            address = RedisAddress.parse(url, username, password)
            return cls(Topology.STANDALONE, (address,), address)
        found = _SEVERAL.fullmatch(url)
        if found is None:
            raise ConfigurationError(
                f"expected a URL such as {_FORMS}; percent-encode @ : / ? # in a password"
            )
        topology = Topology(found["kind"])
        service, database = _path_of(topology, found["path"] or "")
        options = found["options"] or ""
        plain = re.sub(_SENTINEL_LOGIN, "", options).lstrip("&")
        places = found["places"].split(",")
        members = [
            RedisAddress.parse(
                f"{found['scheme']}://{_at(found['login'])}{place}/{database}?{plain}", username, password
            )
            for place in places
        ]
        if topology is Topology.CLUSTER:
            return cls(topology, tuple(members), members[0])
        seeds = [_sentinel(found["scheme"], place, options, plain) for place in places]
        label = f"{service}@{','.join(seed.label for seed in seeds)}"
        return cls(topology, tuple(seeds), dataclasses.replace(members[0], name=label), service)

    def address_of(self, host: str, port: int) -> RedisAddress:
        """Return the data server at a place, with our login."""
        address = dataclasses.replace(self.member, host=host, port=port, name="")
        return dataclasses.replace(address, name=f"{self.service}@{address.label}" if self.service else "")


def _path_of(topology: Topology, path: str) -> tuple[str, str]:
    """Return the service and the database that a path names."""
    names = path.strip("/").split("/")
    if topology is Topology.CLUSTER:
        if names not in ([""], ["0"]):
            raise ConfigurationError("expected no path in the URL of a Cluster: it has only database 0")
        return "", ""
    if not names[0] or len(names) > 2:  # noqa: PLR2004 -- service and database
        raise ConfigurationError(
            "expected the name of a service, and perhaps a database, after the sentinels, as in "
            "redis+sentinel://h1,h2,h3/mymaster/0"
        )
    return names[0], "".join(names[1:])


def _sentinel(scheme: str, place: str, options: str, plain: str) -> RedisAddress:
    login: dict[str, str] = dict(_SENTINEL_LOGIN.findall(options))
    quoted = f"{login.get('username', '')}:{login['password']}" if "password" in login else ""
    address = RedisAddress.parse(f"{scheme}://{_at(quoted)}{place}?{plain}")
    has_port = re.search(r":\d+$", place) is not None
    return address if has_port else dataclasses.replace(address, port=_SENTINEL_PORT)


def _at(login: str | None) -> str:
    return f"{login}@" if login else ""
