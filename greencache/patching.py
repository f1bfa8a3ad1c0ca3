"""Monkey patching that comes too late.

After `gevent.monkey.patch_all()` a thread that was started before is still one of the system's, and a socket
that was opened before still waits without letting other greenlets run. Where the two meet, gevent raises
`greenlet.error: Cannot switch to a different thread` at whoever comes by.
"""

import sys

from greencache.errors import ConfigurationError

__all__ = ["is_patched", "refuse_late_patch"]


def is_patched() -> bool:
    """Return whether gevent has replaced sockets in this process; imports nothing."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def refuse_late_patch(*, was_patched: bool) -> None:
    """Make sure that nothing was patched since threads and sockets were made.

    Args:
        was_patched: What `is_patched` said then.

    Raises:
        ConfigurationError: It was.
    """
    if is_patched() and not was_patched:
        raise ConfigurationError(
            "expected gevent.monkey.patch_all() before a cache is first used, got it after: its threads and"
            " connections would hold up all greenlets; call it first in the program"
        )
