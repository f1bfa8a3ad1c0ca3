"""Under gevent a listener is a greenlet: while it waits, others run, and it hears at once."""

import sys

from gevent import monkey

monkey.patch_all()

import time  # noqa: E402

import gevent  # noqa: E402
import psycopg  # noqa: E402

from greencache.backends.postgres import PostgresManager  # noqa: E402
from greencache.clock import SystemClock  # noqa: E402
from greencache.events import NullRecorder  # noqa: E402
from greencache.outbox.listener import OutboxListener  # noqa: E402


class Sink:
    """Notes keys."""

    is_settled = True
    keys = ()

    def apply(self, change):
        """Note them."""
        self.keys += change.keys
        return True


def main(url, namespace):
    """Listen, tick, write, and close."""
    manager, sink, ticks = PostgresManager(url, timeout=5), Sink(), [0]
    options = {"clock": SystemClock(), "recorder": NullRecorder(), "poll_interval": 30.0}
    listener = OutboxListener(manager, namespace=namespace, **options)

    def tick():
        while True:
            ticks[0] += 1
            gevent.sleep(0.01)

    ticker = gevent.spawn(tick)
    listener.start(sink)
    with gevent.Timeout(30), psycopg.connect(url, autocommit=True) as database:
        while listener.state()["role"] != "leader":
            gevent.sleep(0.01)
        before = ticks[0]
        gevent.sleep(0.3)
        assert ticks[0] - before > 10, "the hub was blocked"
        database.execute("select greencache.invalidate(%s, array['a'])", [namespace])
        while sink.keys != ("a",):
            gevent.sleep(0.01)
        started = time.monotonic()
        listener.close()
        assert time.monotonic() - started < 5
    ticker.kill()
    manager.close()
    print("heard")


main(*sys.argv[1:])
