"""Replays one trace through several policies, with several sizes."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

from greencache.policies import POLICIES
from greencache.simulate.optimum import Future
from greencache.simulate.outcome import Outcome, Simulation, TraceFacts
from greencache.simulate.replay import replay
from greencache.simulate.spool import Progress, Spool
from greencache.simulate.trace import Request, TraceError
from greencache.typing import Seconds

__all__ = ["Display", "simulate"]

_PARTS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


class Display(Protocol):
    """Somebody who wants to know how far a simulation is."""

    def step(self, name: str, total: int | None = None) -> AbstractContextManager[Callable[[int], None]]:
        """Announce a step.

        Args:
            name: What is being done.
            total: How many requests it goes through, if that is known.

        Returns:
            A context that lasts as long as the step; calling it notes further requests done.
        """
        ...


class _Silence:
    @contextlib.contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        yield lambda _: None


def simulate(
    requests: Iterable[Request],
    *,
    policies: Sequence[str] = tuple(POLICIES),
    sizes: Sequence[int] = (),
    by_bytes: bool | None = None,
    ttl: Seconds | None = None,
    rate: float | None = None,
    display: Display | None = None,
) -> Simulation:
    """Return how policies do on a trace: every miss is stored, each key keeps its first size.

    Args:
        requests: The trace; read once.
        policies: Names out of `greencache.policies.POLICIES`.
        sizes: What the cache can hold, in bytes or entries; without any, parts of all that was requested.
        by_bytes: Whether sizes are bytes; by default they are if the trace tells the sizes of values.
        ttl: Seconds that every value is fresh, instead of what the trace says.
        rate: Requests a second, for a trace without times; one without it.
        display: Told of the progress.

    Raises:
        TraceError: If the trace does not say what this needs.
    """
    show = display or _Silence()
    with contextlib.ExitStack() as stack:
        with show.step("Reading") as advance:
            spool = stack.enter_context(Spool(requests, ttl=ttl, rate=rate, advance=advance))
        if by_bytes is None:
            by_bytes = spool.has_sizes
        if by_bytes and not spool.has_sizes:
            raise TraceError(
                "the trace tells no sizes of values: give the cache's size in entries, such as --entries 1000"
            )
        chosen = sorted(set(sizes)) or _parts_of(spool.footprint if by_bytes else spool.unique)
        outcomes: list[Outcome] = []
        for policy in policies:
            with show.step(policy, spool.requests * len(chosen)) as advance:
                outcomes += (
                    replay(spool, policy, size, by_bytes=by_bytes, advance=advance) for size in chosen
                )
        optimum = _optimum(spool, chosen, show, by_bytes=by_bytes)
    return Simulation(
        trace=_facts(spool),
        by_bytes=by_bytes,
        outcomes=tuple(outcomes),
        optimum=tuple(optimum),
        is_exact=not by_bytes and not spool.has_ttls,
    )


def _optimum(spool: Spool, sizes: Sequence[int], show: Display, *, by_bytes: bool) -> list[Outcome]:
    with show.step("optimum", spool.requests * (2 if by_bytes else 1 + len(sizes))) as advance:
        return _look_ahead(spool, sizes, advance, by_bytes=by_bytes)


def _look_ahead(spool: Spool, sizes: Sequence[int], advance: Progress, *, by_bytes: bool) -> list[Outcome]:
    with contextlib.closing(Future(spool, advance=advance)) as future:
        if by_bytes:
            return future.bounds(sizes, advance=advance)
        return [future.exact(size, advance=advance) for size in sizes]


def _parts_of(whole: int) -> list[int]:
    return sorted({max(1, round(part * whole)) for part in _PARTS})


def _facts(spool: Spool) -> TraceFacts:
    return TraceFacts(
        requests=spool.requests,
        unique=spool.unique,
        footprint=spool.footprint,
        has_sizes=spool.has_sizes,
        has_costs=bool(spool.costs),
        has_ttls=spool.has_ttls,
        has_guessed_times=spool.has_guessed_times,
    )
