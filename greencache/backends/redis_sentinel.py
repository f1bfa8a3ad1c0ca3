"""Where the primary of a service is, from the sentinels that watch it.

What sentinels say is looked at with suspicion. One that was cut off from the others still names the former
primary, and so does each for a moment during a failover: an answer is ranked by its configuration epoch,
which grows with each failover (Redis Sentinel documentation, "Configuration epochs"), and whoever connects
to what was named asks it by ROLE whether it is a primary.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_connection import GuardedConnection
from greencache.backends.redis_errors import FOREIGN_ERRORS
from greencache.backends.redis_failures import Failures
from greencache.backends.redis_gate import QuestionGate
from greencache.backends.redis_protocol import pack
from greencache.clock import Clock
from greencache.typing import Seconds

__all__ = ["Primary", "PrimaryFinder"]

_ROLE = pack(["ROLE"])

OnSwitch = Callable[["Primary"], None]


class Primary(NamedTuple):
    """Where a primary is, and since which configuration."""

    host: str
    port: int
    epoch: int = 0

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port


class PrimaryFinder:
    """Asks sentinels for the primary: at first, and when there is reason to; at most once per second.

    Args:
        service: Under which name they know it.
        sentinels: Where they are.
        connect: Makes a connection to one without opening it.
        clock: Tells the time.
        on_switch: Is told of the primary, and of each other one, on the thread that has learned of it.
    """

    def __init__(
        self,
        service: str,
        sentinels: Sequence[RedisAddress],
        connect: Callable[[RedisAddress], GuardedConnection],
        *,
        clock: Clock,
        on_switch: OnSwitch,
    ) -> None:
        self.service = service
        self.sentinels = tuple(sentinels)
        self.connect = connect
        self.failures = Failures()
        """Why nobody could say where the primary is, the last time."""
        self._clock = clock
        self._on_switch = on_switch
        self._question = pack(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", service]) + pack(
            ["SENTINEL", "MASTER", service]
        )
        self._primary: Primary | None = None
        self._first = 0
        self._gate = QuestionGate(clock)
        self._is_doubtful = False

    @property
    def questions(self) -> int:
        """How often sentinels were asked."""
        return self._gate.rounds

    @property
    def patience(self) -> Seconds:
        """Seconds that one sentinel is given to answer."""
        return self._gate.patience

    @property
    def primary(self) -> Primary | None:
        """The last answer."""
        return self._primary

    @property
    def last(self) -> int:
        """The number of the sentinel that answered last."""
        return self._first

    def doubt(self) -> None:
        """Ask again before the next connection: the primary did not behave like one."""
        self._is_doubtful = True

    def locate(self, deadline: Seconds) -> Primary:
        """Return the primary; asks if there is reason to, and never more often than once per second.

        Args:
            deadline: A reading of the clock by which it must be done.

        Raises:
            ConnectionError: Nobody could say; the message says why.
            TierUnavailableError: The same, and to ask again would not help.
        """
        if self._primary is None or self._is_doubtful:
            # Whoever comes meanwhile goes on with the last answer, or else waits for the first.
            self._gate.ask_or_wait(
                lambda: self._ask(deadline, self._first), deadline, is_known=lambda: self._primary is not None
            )
        primary = self._primary
        if primary is None:
            self.failures.raise_if_lasting()
            raise ConnectionError(f"no sentinel names a primary of {self.service!r}: {self.failures}")
        return primary

    def ask(self, deadline: Seconds, first: int | None = None) -> bool:
        """Ask the sentinels in turn until one names a primary; return whether this was the time for it.

        Args:
            deadline: A reading of the clock by which it must be done.
            first: The number of the sentinel to begin with, instead of the one that answered last.
        """
        begin = self._first if first is None else first
        return self._gate.ask(lambda: self._ask(deadline, begin))

    def ask_at_once(self, deadline: Seconds, first: int) -> None:
        """Ask although it was asked lately: a sentinel has just announced something."""
        self._gate.reopen()
        self.ask(deadline, first)

    def require_primary(self, connection: GuardedConnection, deadline: Seconds) -> None:
        """Ask a new connection whether there is a primary at its other end.

        Raises:
            ConnectionError: There is not, or another one is known by now.
            OSError, redis.RedisError: As of `GuardedConnection.exchange`.
        """
        (role,) = connection.exchange(_ROLE, 1, deadline)
        if isinstance(role, Exception):
            raise role
        known, place = self._primary, connection.place
        if role[0] != b"master" or (known is not None and known.place != place):
            self.doubt()
            raise ConnectionError(f"{place[0]}:{place[1]} is not the primary of {self.service!r} any more")

    def _ask(self, deadline: Seconds, first: int) -> bool:
        self._is_doubtful = False
        answer = None
        try:
            answer = self._ask_in_turn(first, self._gate.end_of_round(deadline))
        finally:
            if answer is None:
                self._is_doubtful = True
        if answer is not None:
            self._accept(answer)
        return answer is not None

    def _ask_in_turn(self, first: int, end: Seconds) -> Primary | None:
        outdated: list[Primary] = []
        failures = Failures()
        known = self._primary.epoch if self._primary is not None else -1
        count = len(self.sentinels)
        for number in ((first + step) % count for step in range(count)):
            sentinel = self.sentinels[number]
            try:
                answer = self._ask_one(sentinel, min(end, self._clock.now() + self._gate.patience))
            except FOREIGN_ERRORS as error:
                failures.add(sentinel, error)
                continue
            if answer.epoch >= known:
                self._first = number
                return answer
            outdated.append(answer)
        self.failures = failures
        # A sentinel alone may have missed a failover. If most of them know of none, they were set up anew.
        return max(outdated, key=lambda each: each.epoch) if 2 * len(outdated) > count else None

    def _ask_one(self, sentinel: RedisAddress, end: Seconds) -> Primary:
        connection = self.connect(sentinel)
        try:
            # During a failover the first of these names the new primary earlier, only the second the epoch.
            place, facts = connection.exchange(self._question, 2, end)
        finally:
            connection.abandon()
        if isinstance(facts, Exception):
            raise facts
        if not isinstance(place, list):
            raise ConnectionError(f"it knows no service {self.service!r}")
        return Primary(place[0].decode(), int(place[1]), _epoch(facts))

    def _accept(self, answer: Primary) -> None:
        former, self._primary = self._primary, answer
        if former is None or former.place != answer.place:
            self._on_switch(answer)


def _epoch(facts: list[Any]) -> int:
    named = dict(zip(facts[::2], facts[1::2], strict=False))
    return int(named.get(b"config-epoch", 0))
