"""The only door to Redis."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from greencache.backends.breaker import Breaker, BreakerState, OnChange
from greencache.backends.rate_limit import RateLimit
from greencache.backends.redis_cluster import RedisCluster
from greencache.backends.redis_connection import Parser
from greencache.backends.redis_deployment import Deployment, Topology
from greencache.backends.redis_errors import with_outages, without_errors
from greencache.backends.redis_listener import RedisListener
from greencache.backends.redis_login import Password
from greencache.backends.redis_pool import ConnectionPool
from greencache.backends.redis_protocol import Argument
from greencache.backends.redis_replica_reads import replica_reads_of
from greencache.backends.redis_report import AppliedSetting, RedisHealth
from greencache.backends.redis_scripts import Apart, ScriptCall, ScriptRunner
from greencache.backends.redis_settings import NodeSettings, require_positive
from greencache.backends.redis_single import SingleServer
from greencache.backends.redis_watch import ServerWatch
from greencache.backends.retry import RetryPolicy, Sleep
from greencache.backends.scripts import Script
from greencache.clock import Clock, SystemClock
from greencache.errors import GreencacheError
from greencache.typing import Seconds

__all__ = ["RedisHealth", "RedisListener", "RedisManager"]


class RedisManager:
    """Runs commands on a Redis, in bounded time and retried where that helps; never mixes up replies.

    Connects when it is first used. Safe to share between threads and greenlets, and to use after a fork.

    Args:
        url: redis://[user:password@]host[:port][/db], unix://[user:password@]/path[?db=0], or with several
            hosts redis+sentinel://…/service[/db] or redis+cluster://…; rediss for redis means TLS.
        timeout: Seconds for one attempt, from the first byte sent to the last one read.
        connect_timeout: Seconds for connecting and logging in, or trying if it is back, within `timeout`.
        deadline: Seconds for a call with all its attempts, unless the call says otherwise.
        max_connections: How many are open at once; who wants one more waits, until the call's deadline.
        retry: How often, and after which waits, a failed attempt is repeated.
        breaker: Turns calls away while the server is down; by default one of five failures in a row.
        username: ACL user, instead of the URL's.
        password: Password, instead of the URL's; in no message, log or repr. A function is asked each time.
        clock: Tells the time.
        sleep: Waits between attempts; `time.sleep` by default.
        on_change: Is told when the server goes down, and when it is up again, and why.
        parser: Which of redis-py's parsers reads replies; "auto" is hiredis if that is installed.
        max_calls_per_second: How many commands this process sends at most; more are refused here.
        replica_reads: Seconds that what `replicas` finds may be behind; `None` for no reads of replicas.
        server_settings: What a server is expected to have in `redis.conf`; `check` tells where it has not.

    Raises:
        ConfigurationError: If any of these cannot work.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: Seconds = 5.0,
        connect_timeout: Seconds = 1.0,
        deadline: Seconds = 5.0,
        max_connections: int = 50,
        retry: RetryPolicy | None = None,
        breaker: Breaker | None = None,
        username: str | None = None,
        password: Password = None,
        clock: Clock | None = None,
        sleep: Sleep | None = None,
        on_change: OnChange | None = None,
        parser: Parser = "auto",
        max_calls_per_second: float | None = None,
        replica_reads: Seconds | None = None,
        server_settings: Mapping[str, str] | None = None,
    ) -> None:
        require_positive(deadline=deadline)
        self.clock = clock or SystemClock()
        self.deadline = deadline
        self._deployment = Deployment.parse(url, username, password)
        self.breaker = breaker or Breaker(clock=self.clock)
        if on_change is not None:
            self.breaker.subscribe(on_change)
        settings = NodeSettings(
            timeout=timeout,
            connect_timeout=connect_timeout,
            max_connections=max_connections,
            retry=retry or RetryPolicy(),
            clock=self.clock,
            sleep=sleep,
            parser=parser,
            limit=None if max_calls_per_second is None else RateLimit(max_calls_per_second, self.clock),
            expected=dict(server_settings or {}),
        )
        kind = RedisCluster if self._deployment.topology is Topology.CLUSTER else SingleServer
        self._servers: RedisCluster | SingleServer = kind(self._deployment, settings, self.breaker)
        self._scripts = ScriptRunner(self._servers, self.clock)
        self.replicas = replica_reads_of(self._servers, self._deployment, settings, replica_reads)

    def __repr__(self) -> str:
        return f"RedisManager({self.address}, {self.state})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """The server's name in messages: "host:port", the path of its socket, or service and sentinels."""
        return self._servers.label

    @property
    def database(self) -> int:
        """The number of the database on the server."""
        return self._deployment.member.db

    @property
    def pools(self) -> Sequence[ConnectionPool]:
        """Its connections, to be looked at; those to each primary of a Cluster apart."""
        return self._servers.pools

    @property
    def is_sharded(self) -> bool:
        """Whether keys lie on several servers, of which some may be away."""
        return isinstance(self._servers, RedisCluster)

    @property
    def watch(self) -> ServerWatch:
        """Notices that another server answers at the address, on any connection."""
        return self._servers.watch

    def is_answering(self, key: bytes | None = None) -> bool:
        """Return whether the server that has a key, or else each, has answered when it was last asked."""
        return self._servers.is_whole if key is None else self._servers.is_answering(key)

    @property
    def state(self) -> BreakerState:
        """What the circuit breaker does with calls."""
        return self._servers.state

    @property
    def is_open(self) -> bool:
        """Whether calls are turned away because the server is down."""
        return self._servers.state is not BreakerState.CLOSED

    def execute(self, *command: Argument, deadline: Seconds | None = None, repeatable: bool = True) -> Any:
        """Run one command.

        Args:
            command: Its name and arguments; text is sent as UTF-8, numbers as Python writes them.
            deadline: Seconds for this call instead of the manager's.
            repeatable: Whether twice is as good as once; if not, it is only repeated if it cannot have run.

        Returns:
            The reply, undecoded: bytes, an integer, `None`, or a list of these.

        Raises:
            TierUnavailableError: No answer in time, or the server is not able to do this now.
            ServerReplyError: The server says that the command is wrong.
            InvalidArgumentError: An argument that cannot be sent.
        """
        budget = self.deadline if deadline is None else deadline
        reply = self._servers.execute(command, budget, repeatable=repeatable)
        if isinstance(reply, GreencacheError):
            raise reply
        return reply

    def execute_many(
        self,
        commands: Iterable[Sequence[Argument]],
        *,
        deadline: Seconds | None = None,
        repeatable: bool = True,
        partial: bool = False,
    ) -> list[Any]:
        """Run commands in order, in few round trips; not all or nothing, and others may come in between.

        Args:
            commands: Each a sequence of its name and arguments.
            deadline: Seconds for all of them instead of the manager's.
            repeatable: As for `execute`; a batch of up to 1,000 commands or 1 MiB is repeated as a whole.
            partial: Whether the error of a node that is away stands in the place of replies, unless all are.

        Returns:
            Their replies in order.

        Raises:
            TierUnavailableError: As for `execute`; some commands may have run.
            ServerReplyError: At least one was wrong; the others have run.
        """
        budget = self.deadline if deadline is None else deadline
        replies = self._servers.execute_many(commands, budget, repeatable=repeatable)
        return with_outages(replies) if partial else without_errors(replies)

    def run_script(
        self,
        script: Script,
        keys: Sequence[Argument],
        args: Sequence[Argument],
        *,
        deadline: Seconds | None = None,
        repeatable: bool = True,
    ) -> Any:
        """Run a script by its digest, loaded first if the server does not know it, and return its result.

        Args:
            script: Which one.
            keys: The keys that it touches.
            args: Its other arguments.
            deadline: As for `execute`, whose errors it raises too.
            repeatable: As for `execute`.
        """
        return self.run_script_many(script, [(keys, args)], deadline=deadline, repeatable=repeatable)[0]

    def run_script_many(
        self,
        script: Script,
        calls: Sequence[ScriptCall],
        *,
        deadline: Seconds | None = None,
        repeatable: bool = True,
        partial: bool = False,
        apart: Apart | None = None,
    ) -> list[Any]:
        """Run a script several times in few round trips, as `execute_many` runs commands.

        Args:
            script: Which one.
            calls: The keys and arguments of each run.
            deadline: As for `execute_many`, whose errors it raises too.
            repeatable: As for `execute_many`.
            partial: As for `execute_many`.
            apart: Does the same in steps on one key each, while a Cluster moves the keys of a run to another
                node; without it, such a run is repeated until they have been moved.

        Returns:
            The results in order.
        """
        budget = self.deadline if deadline is None else deadline
        replies = self._scripts.run(script, calls, budget, repeatable=repeatable, apart=apart)
        return with_outages(replies) if partial else without_errors(replies)

    def scan(self, match: str | bytes, count: int = 500) -> Iterator[list[bytes]]:
        """Yield the keys that match a pattern, batch by batch; a key may come twice.

        Args:
            match: A glob pattern as Redis understands it.
            count: About how many keys the server looks at for one batch.

        Raises:
            TierUnavailableError: As for `execute`, at any batch; not all keys were looked at then.
        """
        yield from self._servers.scan(match, count, self.deadline)

    def await_replica(self, mark: Argument, timeout: Seconds) -> bool:
        """Return whether a replica has all that was written so far, waiting for it; raises as `execute` does.

        Args:
            mark: A key to write to; it vanishes by itself.
            timeout: Seconds to wait at most, and never more than half of what one attempt may take.
        """
        return self._servers.await_replica(mark, timeout, self.deadline)

    def open_listener(self, read_timeout: Seconds, key: Argument = "") -> RedisListener:
        """Return a connection of its own, outside of the pool, for commands that block.

        Args:
            key: What the commands are about.
            read_timeout: Seconds that a reply may take; longer than what the commands block.
        """
        return self._servers.open_listener(key, read_timeout)

    def check(self, deadline: Seconds | None = None, *, compare: bool = True) -> RedisHealth:
        """Return how the server is, asking it now whatever the circuit breaker thinks; raises nothing.

        Args:
            deadline: Seconds for this call instead of the manager's.
            compare: Whether to look at its settings too, and at those of replicas.
        """
        return self._servers.check(self.deadline if deadline is None else deadline, compare=compare)

    def apply_settings(self) -> tuple[AppliedSetting, ...]:
        """Set what differs from `server_settings`, and return what became of each.

        Until a server restarts: its own files are left as they are.

        Raises:
            TierUnavailableError: It cannot be reached, or does not tell its settings.
        """
        return tuple(self._servers.settings_check.apply(self.check()))

    def close(self) -> None:
        """Close all connections; calls that come later raise `TierUnavailableError`."""
        if self.replicas is not None:
            self.replicas.close()
        self._servers.close()
