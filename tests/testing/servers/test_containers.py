"""Promises of servers in containers, told with a stand-in for testcontainers."""

import contextlib
import socket
import sys
import threading
import types

import pytest

from greencache.testing import NoServerAvailable, PostgresServer, RedisServer
from greencache.testing.servers import LOCAL, ServerControlError, containers
from greencache.testing.servers.errors import NotHere


class StandIn:
    """Records what is asked of a testcontainers DockerContainer; a real server behind it answers."""

    made: list
    behind: object

    def __init__(self, image):
        self.asked = {"image": image, "environment": {}}
        self.removed = False
        type(self).made.append(self)

    def with_exposed_ports(self, *ports):
        """Ask for ports."""
        self.asked["ports"] = ports
        return self

    def with_command(self, command):
        """Ask for a command line."""
        self.asked["command"] = command
        return self

    def with_env(self, name, value):
        """Ask for an environment variable."""
        self.asked["environment"][name] = value
        return self

    def waiting_for(self, strategy):
        """Ask to wait for something."""
        self.asked["ready"] = strategy
        return self

    def start(self):
        """Come up at once."""
        return self

    def stop(self):
        """Be removed."""
        self.removed = True

    def get_container_host_ip(self):
        """Be on this host."""
        return "127.0.0.1"

    def get_exposed_port(self, port):
        """Publish the port of the server behind."""
        assert port in self.asked["ports"]
        return str(type(self).behind.port)

    def get_logs(self):
        """Have written a little."""
        return b"out\n", b"err\n"


@pytest.fixture
def stand_in(monkeypatch):
    """Pretend that an engine answers and that testcontainers is the stand-in; return its class."""
    kind = type("StandInHere", (StandIn,), {"made": [], "behind": None})
    container = types.ModuleType("testcontainers.core.container")
    container.DockerContainer = kind
    waits = types.ModuleType("testcontainers.core.wait_strategies")
    waits.LogMessageWaitStrategy = lambda message: ("log message", message)
    monkeypatch.setitem(sys.modules, container.__name__, container)
    monkeypatch.setitem(sys.modules, waits.__name__, waits)
    monkeypatch.setattr(containers, "require_docker", lambda: None)
    return kind


def test_redis_asks_for_its_image(stand_in):
    """The image, the port, no persistence, the limits, the password, and when it is ready."""
    with RedisServer(sources=LOCAL, password="secret") as stand_in.behind:
        options = {"maxmemory": "5mb", "maxmemory_policy": "allkeys-lru", "password": "secret"}
        with RedisServer(sources=["container"], **options) as server:
            assert server.source == "container"
            assert server.url == stand_in.behind.url
            assert server.pid is None
            assert server.log() == "out\nerr\n"
            server.flush()
    (container,) = stand_in.made
    assert container.asked == {
        "image": "redis:8-alpine",
        "ports": (6379,),
        "environment": {},
        "command": [
            *("redis-server", "--save", "", "--appendonly", "no", "--requirepass", "secret"),
            *("--maxmemory", "5mb", "--maxmemory-policy", "allkeys-lru"),
        ],
        "ready": ("log message", "Ready to accept connections"),
    }
    assert container.removed


def test_postgres_asks_for_its_image(stand_in):
    """The image, the port, the account, the settings, and that it must say twice that it is ready."""
    with PostgresServer(sources=LOCAL) as stand_in.behind:
        server = PostgresServer(sources=["container"], settings={"max_connections": "20"})
        server._password = stand_in.behind._password
        with server:
            assert server.url == stand_in.behind.url
            server.drop_database(server.create_database())
    (container,) = stand_in.made
    assert container.asked["image"] == "postgres:17-alpine"
    assert container.asked["ports"] == (5432,)
    assert container.asked["command"] == ["postgres", "-c", "fsync=off", "-c", "max_connections=20"]
    assert container.asked["environment"] == {
        "POSTGRES_USER": "greencache",
        "POSTGRES_PASSWORD": server._password,
        "POSTGRES_DB": "postgres",
    }
    kind, message = container.asked["ready"]
    assert kind == "log message"
    assert message.count("ready to accept connections") == 2


def test_a_container_can_be_stopped_but_not_killed_paused_or_started_again(stand_in):
    """Its port would change; who needs that asks for a local server."""
    with RedisServer(sources=LOCAL) as stand_in.behind, RedisServer(sources=["container"]) as server:
        for action in (server.kill, server.pause, server.resume):
            with pytest.raises(ServerControlError, match="sources=LOCAL"):
                action()
        server.stop()
        assert not server.is_running
        assert server.log() == ""
        with pytest.raises(ServerControlError, match="cannot start twice"):
            server.start()


def test_a_container_that_does_not_come_up_is_removed_and_passed_over(stand_in, monkeypatch):
    """An engine without a network cannot fetch images; the wheel still serves."""

    def fail(self):
        raise RuntimeError("no such image")

    monkeypatch.setattr(stand_in, "start", fail)
    with RedisServer(sources=["container", *LOCAL]) as server:
        assert server.source.split(":")[0] in LOCAL
        assert "no such image" in server.passed_over[0]
    assert stand_in.made[0].removed


def test_a_container_whose_server_never_answers_is_removed_and_passed_over(stand_in):
    """A published port accepts connections before anybody listens behind it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stand_in.behind = types.SimpleNamespace(port=silent.getsockname()[1])
        server = RedisServer(sources=["container"], deadline=0.1)
        with pytest.raises(NoServerAvailable, match="until redis:8-alpine answers"):
            server.start()
    assert stand_in.made[0].removed


def test_the_real_testcontainers_has_what_is_asked_of_it():
    """The stand-in must not promise what the library does not keep."""
    container = pytest.importorskip("testcontainers.core.container").DockerContainer
    waits = pytest.importorskip("testcontainers.core.wait_strategies")
    for name in vars(StandIn):
        if not name.startswith("_") and name not in ("made", "behind"):
            assert callable(getattr(container, name))
    assert waits.LogMessageWaitStrategy("ready")


@contextlib.contextmanager
def engine(address, answer, family=socket.AF_INET):
    """Answer one connection as a Docker engine does, or as something else."""
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen()

        def serve():
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(1024).startswith(b"GET /_ping ")
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            thread.join()


@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad Request"])
def test_an_engine_is_found_by_its_socket_and_by_its_address(monkeypatch, tmp_path, status):
    """DOCKER_HOST names either; one behind TLS answers that we spoke the wrong language."""
    answer = b"HTTP/1.1 " + status + b"\r\n\r\n"
    with engine(str(tmp_path / "socket"), answer, socket.AF_UNIX) as path:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        containers.require_docker()
    with engine(("127.0.0.1", 0), answer) as (host, port):
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{host}:{port}")
        containers.require_docker()


def test_what_is_no_engine_is_not_taken_for_one(monkeypatch, tmp_path):
    """Another server, no server, or an address that we cannot try: each with its reason."""
    with engine(("127.0.0.1", 0), b"-ERR unknown command\r\n") as (host, port):
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{host}:{port}")
        with pytest.raises(NotHere, match="no Docker engine"):
            containers.require_docker()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    with pytest.raises(NotHere, match="no Docker engine answers at unix://"):
        containers.require_docker()
    monkeypatch.setenv("DOCKER_HOST", "ssh://somewhere")
    with pytest.raises(NotHere, match="only unix:// and tcp://"):
        containers.require_docker()


def test_an_engine_without_testcontainers_is_said_so(monkeypatch):
    """One line tells what to install."""
    monkeypatch.setattr(containers, "_ping", lambda _: True)
    monkeypatch.setattr(containers.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(NotHere, match="testcontainers is not installed"):
        containers.require_docker()
