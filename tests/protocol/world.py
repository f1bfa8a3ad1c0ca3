"""Hosts, processes, a bus and a source, and what must be true of them at rest."""

from greencache.bus.base import Message, MessageKind
from greencache.keys import ANY_TAG
from greencache.strategies import Strategy
from greencache.testing import FakeClock, RedisDouble

from .bus import Bus
from .instruments import INSTRUMENTS, brief
from .process import KEY, TAG, Process
from .scheduler import Actor, ViolationError, reading, writing


class World:
    """Everything that a scenario is about.

    Args:
        loses: Whether every announcement is lost and noticed as a gap.
        knows_stamps: Whether the processes have the current stamps in memory at first.
    """

    def __init__(self, *, loses: bool = False, knows_stamps: bool = True) -> None:
        self.knows_stamps = knows_stamps
        self.run = INSTRUMENTS.begin()
        self.clock = FakeClock()
        self.version = 0
        """What the source has."""
        self.bus = Bus(self.run, loses=loses)
        self.processes: list[Process] = []
        self.publishers: list[tuple[Process | None, Actor]] = []
        self.servers: list[RedisDouble] = []
        self.loads = 0
        self.most_loads: int | None = None
        self.has_one_writer = True
        """Whether what was written last is also what the authority must have."""

    def server(self, name: str) -> RedisDouble:
        """Return a new server."""
        server = RedisDouble(name)
        # Made before anything begins, so that reading a stamp changes nothing.
        server.stamps.update({("default", tag): f"first {tag}" for tag in ("", TAG, ANY_TAG)})
        server.between_commands = lambda: self.run.stop_before(writing(f"{name} goes on", name))
        self.servers.append(server)
        return server

    def process(
        self,
        name: str,
        host: RedisDouble | None = None,
        shared: RedisDouble | None = None,
        strategy: Strategy | None = None,
        *,
        has_memory: bool = True,
    ) -> Process:
        """Return a new process."""
        self.processes.append(Process(self, name, host, shared, strategy, has_memory=has_memory))
        return self.processes[-1]

    def strangers(self) -> None:
        """Let two processes elsewhere replace a stamp, and announce that in the other order."""
        (authority,) = (server for server in self.servers if server.name == "L3")
        stamps, name = f"{authority.name}.stamps", "strangers"

        def restamp() -> None:
            for token in ("stamp 1", "stamp 2"):
                self.run.stop_before(writing(f"source.change, {stamps} := {token}", "source", stamps))
                self.version += 1
                authority.stamps["default", ANY_TAG] = f"any {token}"
                authority.stamps["default", TAG] = token
            for token in ("stamp 2", "stamp 1"):
                self.run.stop_before(writing(f"bus.publish {token}", "bus"))
                replaced = {ANY_TAG: f"any {token}", TAG: token}
                self.bus.log.append((name, Message(MessageKind.STAMP, stamps=replaced)))

        touched = {"source", stamps, "bus"}
        actor = Actor(name, restamp, touched, touched)
        self.publishers.append((None, actor))
        self.run.add(actor)

    def load(self) -> int:
        """Read the source."""
        self.run.stop_before(reading("source.read", "source"))
        self.loads += 1
        self.run.note(self.version)
        return self.version

    def fingerprint(self) -> int:
        """Return what tells this state from all others."""
        servers = tuple(
            (brief(server.values), brief({k: held.token for k, held in server.leases.items()}),
             brief(server.stamps), server.is_down)
            for server in self.servers
        )  # fmt: skip
        flights = tuple(
            sorted((label, flight.future.done()) for label, flight in INSTRUMENTS.flights.values())
        )
        actors = tuple((actor.history, actor.next and actor.next.label) for actor in self.run.actors.values())
        processes = tuple(process.fingerprint() for process in self.processes)
        return hash((servers, flights, actors, processes, self.bus.fingerprint(), self.version))

    # -- at rest -----------------------------------------------------------------------------------------

    def judge(self) -> None:
        """Raise `ViolationError` unless tiers agree, no lease is left, and every tier can be filled anew."""
        if self.most_loads is not None and self.loads > self.most_loads:
            raise ViolationError(
                f"the source was read {self.loads} times, expected at most {self.most_loads}"
            )
        for server in self.servers:
            if server.leases:
                raise ViolationError(f"at rest {server.name} still holds leases: {server.leases}")
        for process in self.processes:
            self._judge_agreement(process)
        self._judge_liveness()

    def _judge_agreement(self, process: Process) -> None:
        seen = process.visible()
        authority = "L1" if not process.guarded else "L3"
        truth = self.version if self.has_one_writer else seen.get(authority)
        wrong = {tier: value for tier, value in seen.items() if value != truth}
        if wrong:
            raise ViolationError(f"at rest {process.name} sees {seen}, where all should be {truth}")

    def _judge_liveness(self) -> None:
        self.processes[0].cache.invalidate(KEY)
        for process in self.processes:
            while process.ear.has_news:
                process.ear.hear()
        for process in self.processes:
            process.cache.get_or_load(KEY, self.load, tags=[TAG])
            seen = process.visible()
            if set(seen.values()) != {self.version} or len(seen) != len(process.engine.stack.tiers):
                raise ViolationError(
                    f"after a new load {process.name} sees {seen}, not {self.version} everywhere"
                )
