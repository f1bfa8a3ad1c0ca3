"""A server in a container, where a Docker engine answers."""

import dataclasses
import importlib.util
import os
import socket
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from greencache.testing.servers.errors import NotHere, ServerControlError, ServerStartError
from greencache.testing.waiting import wait_until
from greencache.typing import Seconds

__all__ = ["POSTGRES_IMAGE", "REDIS_IMAGE", "ContainerRunner", "Image", "require_docker"]

REDIS_IMAGE = "redis:8-alpine"
POSTGRES_IMAGE = "postgres:17-alpine"

_DEFAULT_ENGINE = "unix:///var/run/docker.sock"
_PING = b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n"
_PING_DEADLINE = 2.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What to run in a container.

    Args:
        name: Image with its tag.
        port: The port it serves inside the container.
        ready: Regular expression of what it logs once it serves.
        command: Its command line; empty for the image's own.
        environment: Its environment variables.
    """

    name: str
    port: int
    ready: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


class ContainerRunner:
    """Keeps one container; stopping it removes it.

    Args:
        image: What to run.
        url: Takes host and port, returns where clients connect.
        connect: Takes the URL; raises while nothing answers there.
        deadline: Seconds between the container's own message that it serves and its answer to us.

    Raises:
        NotHere: No Docker engine answers, or testcontainers is not installed.
    """

    pid = None

    def __init__(
        self,
        image: Image,
        url: Callable[[str, int], str],
        connect: Callable[[str], object],
        *,
        deadline: Seconds,
    ) -> None:
        require_docker()
        self._image = image
        self._url_at = url
        self._connect = connect
        self._deadline = deadline
        self._container: Any = None
        self._url = ""

    @property
    def url(self) -> str:
        """Where clients connect."""
        return self._url

    @property
    def is_running(self) -> bool:
        """Whether the container was started and not stopped."""
        return self._container is not None

    def start(self) -> None:
        """Run the container and wait until its server answers.

        Raises:
            ServerStartError: It does not come up, or the image cannot be fetched.
            ServerControlError: It was started before; its port would change.
        """
        if self._url:
            raise ServerControlError(
                f"the container of {self._image.name} cannot start twice; use sources=LOCAL"
            )
        try:
            self._container = _container(self._image)
            self._container.start()
            host = self._container.get_container_host_ip()
            self._url = self._url_at(host, int(self._container.get_exposed_port(self._image.port)))
            wait_until(self._answers, reason=f"{self._image.name} answers", deadline=self._deadline)
        except Exception as error:
            # Docker, the registry and the server each raise in their own way; for the choice it is all one.
            self.stop()
            raise ServerStartError(f"a container of {self._image.name} did not come up: {error}") from error

    def stop(self) -> None:
        """Remove the container."""
        container, self._container = self._container, None
        if container is not None:
            container.stop()

    close = stop

    def kill(self) -> None:
        """Refuse."""
        self._refuse("killed")

    def pause(self) -> None:
        """Refuse."""
        self._refuse("paused")

    def resume(self) -> None:
        """Refuse."""
        self._refuse("resumed")

    def describe(self) -> str:
        """Return the image."""
        return self._image.name

    def log(self) -> str:
        """Return what the container has written to its output."""
        if self._container is None:
            return ""
        return "".join(part.decode(errors="replace") for part in self._container.get_logs())

    def _answers(self) -> bool:
        try:
            self._connect(self._url)
        except Exception:  # not yet; the deadline tells "not yet" from "never"
            return False
        return True

    def _refuse(self, action: str) -> NoReturn:
        raise ServerControlError(
            f"a server in a container cannot be {action} from here; ask for a local one with sources=LOCAL"
        )


def _container(image: Image) -> Any:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    container = DockerContainer(image.name).with_exposed_ports(image.port)
    if image.command:
        container = container.with_command(list(image.command))
    for name, value in image.environment.items():
        container = container.with_env(name, value)
    return container.waiting_for(LogMessageWaitStrategy(image.ready))


def require_docker() -> None:
    """Make sure that containers can be run here.

    Raises:
        NotHere: No Docker engine answers, or testcontainers is not installed.
    """
    engine = os.environ.get("DOCKER_HOST") or _DEFAULT_ENGINE
    try:
        answered = _ping(engine)
    except OSError as error:
        raise NotHere(f"no Docker engine answers at {engine}: {error}") from error
    if not answered:
        raise NotHere(f"what answers at {engine} is no Docker engine")
    if importlib.util.find_spec("testcontainers") is None:
        raise NotHere("a Docker engine answers, but testcontainers is not installed")


def _ping(engine: str) -> bool:
    parts = urllib.parse.urlsplit(engine)
    if parts.scheme == "unix":
        family = socket.AF_UNIX
        address: str | tuple[str, int] = parts.path
    elif parts.scheme in ("tcp", "http") and parts.hostname:
        family = socket.AF_INET
        address = (parts.hostname, parts.port or 2375)
    else:
        raise NotHere(f"DOCKER_HOST is {engine!r}; only unix:// and tcp:// are tried")
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PING_DEADLINE)
        connection.connect(address)
        connection.sendall(_PING)
        status = connection.recv(64).split(b" ")[1:2]
        # An engine behind TLS answers a plain request with status 400: it is there all the same.
        return status in ([b"200"], [b"400"])
