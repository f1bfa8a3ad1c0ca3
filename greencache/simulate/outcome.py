"""What came out of a simulation: data."""

import dataclasses

__all__ = ["Outcome", "Simulation", "TraceFacts"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TraceFacts:
    """What a trace is like.

    Args:
        requests: How many there are.
        unique: How many different keys.
        footprint: Bytes of all values together.
        has_sizes: Whether it tells sizes; else each value counts one byte.
        has_costs: Whether it tells what loading costs.
        has_ttls: Whether values expire in the simulation.
        has_guessed_times: Whether they do so as if one request came a second, for want of times.
    """

    requests: int
    unique: int
    footprint: int
    has_sizes: bool
    has_costs: bool
    has_ttls: bool
    has_guessed_times: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one policy did with one size.

    Args:
        policy: Its name.
        size: What the cache could hold: bytes or entries.
        hit_ratio: Part of the requests that were hits.
        byte_hit_ratio: Part of the bytes requested that were hits.
        cost_saved: Part of the seconds of loading that hits made unnecessary; `None` when costs are unknown.
    """

    policy: str
    size: int
    hit_ratio: float
    byte_hit_ratio: float
    cost_saved: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """All outcomes over one trace.

    Args:
        trace: What the trace is like.
        by_bytes: Whether sizes are bytes; else entries.
        outcomes: One for each policy and size, sizes ascending within each policy.
        optimum: What no policy can exceed, one for each size.
        is_exact: Whether the optimum can be reached; else it is an upper bound.
    """

    trace: TraceFacts
    by_bytes: bool
    outcomes: tuple[Outcome, ...]
    optimum: tuple[Outcome, ...]
    is_exact: bool

    @property
    def policies(self) -> list[str]:
        """The names of the policies, as they were asked for."""
        return list(dict.fromkeys(outcome.policy for outcome in self.outcomes))

    @property
    def sizes(self) -> list[int]:
        """The sizes, ascending."""
        return sorted({outcome.size for outcome in self.outcomes})

    def curve(self, policy: str) -> list[Outcome]:
        """Return the outcomes of one policy, sizes ascending."""
        return [outcome for outcome in self.outcomes if outcome.policy == policy]
