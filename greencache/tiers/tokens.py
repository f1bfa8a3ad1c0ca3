"""What the leases of servers are made of."""

import functools
import os
import re
import secrets
import socket

__all__ = ["new_batch", "process_name"]


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
