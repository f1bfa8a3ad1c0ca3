"""Time that a thread took, without the time for which the system gave its processor to somebody else."""

import pathlib
import time

__all__ = ["processor_waited_for", "seconds_of"]

_SCHEDULED = pathlib.Path("/proc/thread-self/schedstat")


def processor_waited_for():
    """Return the seconds for which this thread could have run and was not let; 0 where nobody counts them."""
    try:
        # Its second figure, in nanoseconds: https://docs.kernel.org/scheduler/sched-stats.html
        return int(_SCHEDULED.read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def seconds_of(call):
    """Return how long a call takes, as on a machine that nobody else uses."""
    waited = processor_waited_for()
    began = time.perf_counter()
    call()
    elapsed = time.perf_counter() - began
    return max(0.0, elapsed - (processor_waited_for() - waited))
