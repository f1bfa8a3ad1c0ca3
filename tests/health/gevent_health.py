"""Under gevent servers are checked by a greenlet: while it waits, others run."""

import sys

from gevent import monkey

monkey.patch_all()

import threading  # noqa: E402

import gevent  # noqa: E402

from greencache import CacheManager  # noqa: E402
from greencache.config import CacheConfig  # noqa: E402
from greencache.typing import CacheTier  # noqa: E402


def main(url):
    """Tick while the servers are checked, and close."""
    ticks = [0]

    def tick():
        while True:
            ticks[0] += 1
            gevent.sleep(0.005)

    ticker = gevent.spawn(tick)
    cache = CacheManager.from_config(CacheConfig(l3={"url": url}, health={"interval": 0.2}))
    with gevent.Timeout(30), cache:
        cache.set("a", 1)
        before = ticks[0]
        while len(cache.health_history()[CacheTier.L3]) < 3:
            gevent.sleep(0.01)
        assert ticks[0] - before > 20, "the hub was blocked"
        assert {each.status for each in cache.health_history()[CacheTier.L3]} == {"up"}
        assert cache.fleet_health_history()
    assert "greencache-health" not in [thread.name for thread in threading.enumerate()]
    ticker.kill()
    print("checked")


if __name__ == "__main__":
    main(*sys.argv[1:])
