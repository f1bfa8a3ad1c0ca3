"""Runs scripts by their digests, and loads them where they are not known."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from greencache.backends.redis_errors import is_unknown_script
from greencache.backends.redis_protocol import Argument
from greencache.backends.scripts import Script
from greencache.typing import Seconds

__all__ = ["ScriptCall", "run_scripts"]

_MOST_LOADS = 3
"""How often a script is loaded for one call: another server may take over in between."""

ScriptCall: TypeAlias = tuple[Sequence[Argument], Sequence[Argument]]
"""The keys and the arguments of one run of a script."""


def run_scripts(
    script: Script,
    calls: Sequence[ScriptCall],
    run: Callable[[Sequence[Sequence[Argument]], Seconds], list[Any]],
    left: Callable[[], Seconds],
) -> list[Any]:
    """Return the replies to several runs of a script, in few round trips.

    Args:
        script: Which one.
        calls: The keys and the arguments of each run.
        run: Runs commands in so many seconds, and returns their replies.
        left: Returns how many are left.
    """
    commands = [("EVALSHA", script.sha, len(keys), *keys, *args) for keys, args in calls]
    replies = run(commands, left())
    for _ in range(_MOST_LOADS):
        unknown = [index for index, reply in enumerate(replies) if is_unknown_script(reply)]
        if not unknown:
            break
        # Nothing of these has run, so to run them now repeats nothing.
        again = [("SCRIPT", "LOAD", script.text), *(commands[index] for index in unknown)]
        late = run(again, left())
        for index, reply in zip(unknown, late[1:], strict=True):
            replies[index] = reply
    return replies
