"""Round trips of one cold miss through L1, L2 and L3, counted where commands leave the process."""

import argparse
import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

from benchmarks.verdicts import judge
from greencache import CacheManager
from greencache.backends.redis_connection import GuardedConnection
from greencache.testing import RedisServer

__all__ = ["Trips", "cold_miss", "run", "show"]


class Trips:
    """What this thread has sent, in order, and to which port.

    Args:
        ports: Of the servers, from the nearest to the deepest.
    """

    def __init__(self, *ports: int) -> None:
        self._ports = ports
        self._sent: list[tuple[int, bytes]] = []
        self._load_after = 0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count while the body runs."""
        send, thread = GuardedConnection.send, threading.get_ident()

        def counting(connection: Any, packed: bytes, deadline: float) -> None:
            if threading.get_ident() == thread:
                self._sent.append((connection.port, packed))
            send(connection, packed, deadline)

        with mock.patch.object(GuardedConnection, "send", counting):
            yield

    def load(self) -> float:
        """Be the loader, which stands between the way down and the way up."""
        self._load_after = len(self._sent)
        return 1.0

    def figures(self) -> dict[str, list[int]]:
        """Return the round trips of each server, before and after the load."""
        down, up = self._sent[: self._load_after], self._sent[self._load_after :]
        return {
            "down": [sum(port == each for each, _ in down) for port in self._ports],
            "up": [sum(port == each for each, _ in up) for port in self._ports],
        }


def cold_miss() -> dict[str, list[int]]:
    """Return the round trips to L2 and to L3, on the way down and on the way up."""
    with (
        RedisServer() as near,
        RedisServer() as deep,
        CacheManager.from_urls(l2=near.url, l3=deep.url, namespace="bench") as cache,
    ):
        cache.initialize(strict=True)
        cache.get_or_load("first", lambda: 1.0)  # connects, and asks for the stamps
        trips = Trips(near.port, deep.port)
        with trips.counted():
            cache.get_or_load("second", trips.load)
        return trips.figures()


def run(_: argparse.Namespace) -> dict[str, Any]:
    """Count them and judge the budgets."""
    trips = cold_miss()
    path = "cold miss, L1-L3 present"
    return {
        "round trips": trips,
        "budgets": [
            judge(path, "round trips per Redis, down", max(trips["down"]), "at most", 2),
            judge(path, "round trips per Redis, up", max(trips["up"]), "at most", 1),
        ],
    }


def show(figures: dict[str, Any]) -> None:
    """Print the counts."""
    print(f"\nround trips of a cold miss, to L2 and to L3: {figures['round trips']}")
