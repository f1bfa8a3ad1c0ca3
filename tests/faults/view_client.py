"""A process that keeps a view fresh together with others."""

from greencache import CacheManager, RefreshPolicy, ViewSpec
from tests.faults.child import Child

__all__ = ["INTERVAL", "QUERY", "ViewClient", "specs"]

QUERY = "select id, value from public.facts"
INTERVAL = 0.5


def specs():
    """Return a view that is refreshed when its source changes, and one that is at intervals."""
    on_change = ViewSpec(
        name="by_change",
        template="change:{id}",
        value="value",
        query=QUERY,
        refresh=RefreshPolicy(on=["facts"]),
    )
    at_intervals = ViewSpec(
        name="by_time",
        template="time:{id}",
        value="value",
        query=QUERY,
        refresh=RefreshPolicy(every=INTERVAL),
    )
    return [on_change, at_intervals]


class ViewClient(Child):
    """The parent's end of such a process.

    Args:
        url: Of the database.
        namespace: Of its cache.
    """

    def __init__(self, url, namespace):
        super().__init__(_run, url, namespace)

    def read(self, keys):
        """Return what it reads under some keys."""
        return self.ask(keys)


def _run(pipe, url, namespace):
    cache = CacheManager.from_urls(l4=url, namespace=namespace, views=specs(), max_staleness=0.1)
    cache.initialize(strict=True)
    pipe.send("ready")
    while True:
        [keys] = pipe.recv()
        pipe.send(cache.mget(keys))
