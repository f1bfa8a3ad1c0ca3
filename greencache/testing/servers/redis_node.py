"""One server of several that belong together."""

from __future__ import annotations

import contextlib
import shutil
import ssl
from typing import TYPE_CHECKING, Any, ClassVar

from greencache.testing.servers.family import state_of
from greencache.testing.servers.local import LocalRunner
from greencache.testing.servers.ports import LOOPBACK, free_port
from greencache.testing.servers.redis_program import RedisProgram, redis_client
from greencache.typing import Seconds

if TYPE_CHECKING:
    from greencache.testing.proxy import TcpProxy  # which itself needs ports from here

__all__ = ["ClusterNode", "RedisNode", "SentinelNode"]


class RedisNode(LocalRunner):
    """A server that can be killed, paused, stopped and started by itself, at the same port each time.

    Args:
        program: A data server or a sentinel.
        persist: Whether it keeps what it stores over a stop or a kill; else each start begins empty.
        deadline: Seconds for it to come up, and to go down.
        tls: Given, a proxy that speaks TLS stands before it, and it tells everybody the proxy's address.
    """

    _ANNOUNCED: ClassVar[tuple[str, ...]] = ("replica-announce-port",)
    """The settings that say where others find it, if that is not where it listens."""

    def __init__(
        self, program: RedisProgram, *, persist: bool, deadline: Seconds, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(program, persist=persist, deadline=deadline)
        self.port = 0
        """Where others find it, once it was started."""
        self._tls = tls
        self.front: TcpProxy | None = None
        """What speaks TLS for it; those who do not speak TLS, as the other servers, pass through."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.port}, process {self.pid}>"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return LOOPBACK, self.port

    @property
    def own_port(self) -> int:
        """Where it listens itself."""
        return self.port if self.front is None else self.front.target[1]

    @property
    def is_responsive(self) -> bool:
        """Whether it runs and is not paused."""
        return (pid := self.pid) is not None and state_of(pid) not in "Tt"

    def start(self) -> None:
        """Start it, and let it know where others find it."""
        super().start()
        if self.front is not None:
            for name in self._ANNOUNCED:
                self.execute("CONFIG", "SET", name, self.front.port)

    def close(self) -> None:
        """Stop it and remove its folder."""
        super().close()
        if self.front is not None:
            self.front.close()
            self.front = None

    def restart(self, *, empty: bool = False) -> None:
        """Kill it if it runs, and start it: without `persist` it is empty then.

        Args:
            empty: Whether it is empty even with `persist`, as after the loss of its disk.
        """
        if self.is_running:
            self.kill()
        if empty and self._folder is not None:
            shutil.rmtree(self._folder / "store", ignore_errors=True)
        self.start()

    def execute(self, *words: str | bytes | int, deadline: Seconds = 5.0) -> Any:
        """Send it one command and return the reply; text is decoded.

        Args:
            words: The command.
            deadline: Seconds for the reply.

        Raises:
            redis.RedisError: It refuses, or does not answer.
        """
        with redis_client(self.url, deadline) as client:
            client.response_callbacks.clear()  # the reply as it is, whatever the client makes of it
            return client.execute_command(*words)

    def replication(self) -> dict[str, str]:
        """Return what it says about its role: `role`, `master_link_status` and so on."""
        lines = str(self.execute("INFO", "replication")).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def follows(self, primary: RedisNode) -> bool:
        """Say whether it is a replica that has all of a primary's keys and hears what changes."""
        import redis

        with contextlib.suppress(redis.RedisError):  # one that does not answer follows nobody
            facts = self.replication()
            return (
                facts["role"] == "slave"
                and facts["master_port"] == str(primary.port)
                and facts["master_link_status"] == "up"
            )
        return False

    def _launch(self, port: int) -> None:
        super()._launch(port)
        if self._tls is not None and self.front is None:
            from greencache.testing.proxy import TcpProxy

            self.front = TcpProxy((LOOPBACK, port), tls=self._tls, takes_plain=True)
        self.port = port if self.front is None else self.front.port


class SentinelNode(RedisNode):
    """A sentinel that looks and talks more often than in production, and soon forgives a busy machine."""

    _ANNOUNCED = ()  # sentinels find each other by themselves

    _PACE: ClassVar = {
        "ping-period": 300,
        "info-period": 500,
        "ask-period": 200,
        "publish-period": 300,
        "election-timeout": 3_000,
        "tilt-period": 1_000,
    }

    def start(self) -> None:
        """Start it and set its pace."""
        import redis

        super().start()
        for name, milliseconds in self._PACE.items():
            with contextlib.suppress(redis.ResponseError):  # before Redis 7 it cannot be set
                self.execute("SENTINEL", "DEBUG", name, milliseconds)


class ClusterNode(RedisNode):
    """A server of a cluster, which listens on a second port for the other nodes."""

    _ANNOUNCED = ("replica-announce-port", "cluster-announce-port")
    BUS_OFFSET: ClassVar = 10_000
    node_id = ""
    """Its name in the cluster, once it was started."""

    def start(self) -> None:
        """Start it and learn its name."""
        super().start()
        self.node_id = str(self.execute("CLUSTER", "MYID"))

    def meet(self, other: ClusterNode) -> None:
        """Introduce it to another node, which hears other nodes beside its own port only."""
        self.execute("CLUSTER", "MEET", LOOPBACK, other.own_port)

    def _choose_port(self) -> int:
        return free_port(self.BUS_OFFSET)
