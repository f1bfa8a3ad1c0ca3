"""What the leases of servers are made of."""

import functools
import os
import re
import secrets
import socket
from collections.abc import Iterable
from typing import Final

from greencache.tiers.base import Lease
from greencache.typing import Key

__all__ = ["NOWHERE", "new_batch", "new_tokens", "process_name"]

NOWHERE: Final[Lease] = "nowhere"
"""A lease that no tier has given."""


def new_tokens(keys: Iterable[Key]) -> dict[Key, Lease]:
    """Return a token for each key that nobody has had before."""
    batch = new_batch()
    return {key: f"{batch}-{number:x}" for number, key in enumerate(dict.fromkeys(keys))}


def new_batch() -> str:
    """Return what tokens of one call begin with: "host:pid:" and a part that no other call has.

    Unique per fill, not per process, and drawn anew after a fork without anybody's help. The names of host
    and process are for people who ask who holds a lease.
    """
    return f"{process_name()}:{secrets.token_hex(12)}"


def process_name() -> str:
    """Return what this process is called among those that share servers: "host:pid"."""
    return f"{_host()}:{os.getpid()}"


@functools.cache
def _host() -> str:
    # Nothing that could be taken for the end of the name.
    return re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:64]
