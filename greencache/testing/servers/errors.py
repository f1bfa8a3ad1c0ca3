"""What can go wrong with a server that a test or the demo wants.

    GreencacheError
    └── ServerError (RuntimeError)
        ├── NoServerAvailable       nothing on this machine can serve
        ├── ServerStartError        something can, but did not come up
        │   └── PortTakenError      a stranger took its port; inside, another port is tried
        ├── ServerControlError      a server was asked for what it cannot do
        └── NotHere                 inside: one way to get a server does not exist, the next is tried

Apart from the tree of `greencache.errors`, which the cache itself raises.
"""

from collections.abc import Sequence

from greencache.errors import GreencacheError

__all__ = [
    "NoServerAvailable",
    "NotHere",
    "PortTakenError",
    "ServerControlError",
    "ServerError",
    "ServerStartError",
]


class ServerError(GreencacheError, RuntimeError):
    """Base of the errors about servers for tests."""


class NoServerAvailable(ServerError):  # noqa: N818 -- a state of the machine
    """Nothing that was tried can serve.

    Args:
        kind: What was wanted: "Redis", "PostgreSQL".
        tried: One line for each way that was tried, with why it did not work.
        advice: What to install or to set.
    """

    def __init__(self, kind: str, tried: Sequence[str], advice: str) -> None:
        lines = "".join(f"\n  - {line}" for line in tried) or "\n  - nothing: every source was excluded"
        super().__init__(f"no {kind} server is available here. Tried:{lines}\n{advice}")
        self.tried = tuple(tried)


class ServerStartError(ServerError):
    """A server was found but did not come up; the message ends with its log."""


class PortTakenError(ServerStartError):
    """Somebody else took the port between its choice and its use."""


class ServerControlError(ServerError):
    """A server was asked for what it, or this process, cannot do to it."""


class NotHere(ServerError):  # noqa: N818 -- a state of the machine
    """One way to get a server does not exist on this machine; the next one is tried."""
