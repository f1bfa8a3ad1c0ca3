"""Running scripts by their digest, loaded where a server does not know them, and in steps where none can."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from greencache.backends.redis_errors import is_unknown_script
from greencache.backends.redis_protocol import Argument
from greencache.backends.retry import MovingSlotError, RefusedError
from greencache.backends.scripts import Script
from greencache.clock import Clock
from greencache.errors import TierUnavailableError
from greencache.typing import Seconds

__all__ = ["Apart", "Left", "ScriptCall", "ScriptRunner"]

_MOST_LOADS = 3
"""How often a script is loaded for one call: another server may take over in between."""

ScriptCall: TypeAlias = tuple[Sequence[Argument], Sequence[Argument]]
"""The keys and the arguments of one run of a script."""

Left: TypeAlias = Callable[[], Seconds]
"""Returns the seconds that are left of a call; raises `RefusedError` when none are."""

Apart: TypeAlias = Callable[[Sequence[Any], Sequence[Any], Left], Any]
"""Does what a script does with some keys and arguments, by commands on one key each."""


class _Servers(Protocol):
    """Run commands, with errors among the replies."""

    def execute_many(
        self,
        commands: Sequence[Sequence[Argument]],
        budget: Seconds,
        *,
        repeatable: bool,
        waits: bool,
        script: Script | None = None,
    ) -> list[Any]: ...


class ScriptRunner:
    """Runs scripts.

    Args:
        servers: Run commands.
        clock: Tells the time.
    """

    def __init__(self, servers: _Servers, clock: Clock) -> None:
        self._servers = servers
        self._now = clock.now

    def run(
        self,
        script: Script,
        calls: Sequence[ScriptCall],
        budget: Seconds,
        *,
        repeatable: bool,
        apart: Apart | None = None,
    ) -> list[Any]:
        """Return the results in order, errors among them.

        Args:
            script: Which one.
            calls: The keys and the arguments of each run.
            budget: Seconds for all of them.
            repeatable: Whether to execute one twice is as good as once.
            apart: Is called for each run whose keys are being moved from one node of a Cluster to another.
        """
        end = self._now() + budget
        run = functools.partial(self._servers.execute_many, repeatable=repeatable, waits=apart is None)
        # In a Cluster each node is brought it apart: a second round for all would wait for those that hang.
        by_digest = [("EVALSHA", script.sha, len(keys), *keys, *args) for keys, args in calls]
        replies = run(by_digest, budget, script=script)
        for load in range(_MOST_LOADS):
            unknown = [index for index, reply in enumerate(replies) if is_unknown_script(reply)]
            if not unknown:
                break
            how = ("EVAL", script.text) if load else ("EVALSHA", script.sha)
            # Nothing of these has run, so to run them now repeats nothing.
            again = [(*how, len(keys), *keys, *args) for keys, args in (calls[index] for index in unknown)]
            late = run([("SCRIPT", "LOAD", script.text), *again], end - self._now())
            for index, reply in zip(unknown, late[1:], strict=True):
                replies[index] = reply
        if apart is None:
            return replies
        return [
            self._run_apart(apart, call, end) if isinstance(reply, MovingSlotError) else reply
            for call, reply in zip(calls, replies, strict=True)
        ]

    def _run_apart(self, apart: Apart, call: ScriptCall, end: Seconds) -> Any:
        def left() -> Seconds:
            seconds = end - self._now()
            if seconds <= 0:
                raise RefusedError("the deadline passed while a slot of the Redis Cluster was being moved")
            return seconds

        try:
            return apart(*call, left)
        except TierUnavailableError as outage:
            return outage
