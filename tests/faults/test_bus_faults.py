"""Whole caches while the bus is cut, trimmed or emptied: L1 never vouches for what it cannot know."""

import multiprocessing
import time

import pytest
import redis

from greencache import CacheManager
from greencache.backends.redis_names import RedisNames
from greencache.errors import InvalidationPending
from greencache.events import EventKind
from greencache.testing import wait_until
from tests.faults.bus_client import KEY, NAMESPACE, TAG, Client

pytestmark = [pytest.mark.faults, pytest.mark.timeout(200)]

MAX_STALENESS = 2.0
LOG = RedisNames(NAMESPACE).bus

FORGETTING = {
    "key": lambda cache: cache.invalidate(KEY),
    "pattern": lambda cache: cache.invalidate(pattern="user:*"),
    "tag": lambda cache: cache.invalidate(tags=[TAG]),
    "clear": lambda cache: cache.clear(),
}


class Scene:
    """A shared Redis, a cache of this process that changes and forgets a key, and clients that read it.

    Args:
        new_server: Starts a Redis server.
    """

    def __init__(self, new_server):
        self._new_server = new_server
        self.l3 = new_server()
        self.here = new_server().url
        self._cache = CacheManager.from_urls(l2=self.here, l3=self.l3.url, namespace=NAMESPACE)
        self._cache.initialize(strict=True)
        self._source = multiprocessing.get_context("spawn").RawValue("q", 1)
        self._clients = []

    def close(self):
        """End all clients."""
        for client in self._clients:
            client.kill()
        self._cache.close()

    def new_host(self):
        """Return the address of the Redis of a host that no process has used yet."""
        return self._new_server().url

    def start_client(self, l2=None):
        """Return a client that has begun to read."""
        client = Client({"l2": l2, "l3": self.l3.url}, self._source)
        self._clients.append(client)
        return client

    def client(self, l2=None):
        """Return a client that reads the present version from L1 by now."""
        client = self.start_client(l2)
        client.await_hit(self._source.value)
        return client

    def forget(self, how="key"):
        """Change the source and forget the key; return the new version and when that was acknowledged."""
        self._source.value += 1
        wait_until(lambda: self._try(FORGETTING[how]), deadline=60, reason="forgetting is acknowledged")
        return self._source.value, time.monotonic()

    def _try(self, forget):
        try:
            forget(self._cache)
        except InvalidationPending:
            return False
        return True

    def admin(self):
        """Return a client of the shared Redis itself."""
        return redis.Redis.from_url(self.l3.url)


@pytest.fixture
def scene(redis_servers):
    """A scene of this test's own."""
    scene = Scene(redis_servers)
    yield scene
    scene.close()


def await_bound(acknowledged):
    """Wait until nobody may read what was forgotten any more."""
    wait_until(
        lambda: time.monotonic() > acknowledged + MAX_STALENESS,
        deadline=MAX_STALENESS + 5,
        reason="max_staleness is over",
    )


def older(report, version, since):
    """Return the runs of reads of an older version, the last of which began after a moment."""
    return [run for run in report.runs if 0 < run.version < version and run.last > since]


def hits(runs):
    """Return the runs among these that L1 vouched for."""
    return [run for run in runs if run.is_hit]


def kinds(report, since=0.0):
    """Return the kinds of events since a moment."""
    return [kind for kind, at in report.events if at > since]


def seconds_until(report, kind, since):
    """Return the seconds from a moment to the first event of a kind after it."""
    return round(min(at for each, at in report.events if each == kind and at > since) - since, 3)


def seconds_until_version(report, version, since):
    """Return the seconds from a moment to the beginning of the first read that returned a version."""
    # A read that was under way before has waited for it no longer than one that begins now.
    return round(max(0.0, min(run.first for run in report.runs if run.version == version) - since), 3)


@pytest.mark.parametrize("how", FORGETTING)
def test_a_process_that_was_stopped_for_long_trusts_no_l1_when_it_wakes(scene, keep_figures, how):
    """Not for one read, although its reader may go on before its listener does."""
    client = scene.client()
    client.pause()
    version, acknowledged = scene.forget(how)
    await_bound(acknowledged)
    woken = client.resume()
    client.await_hit(version)
    report = client.report()
    keep_figures(
        f"bus-paused-{how}",
        {
            "runs_of_stale_hits_after_wake": len(hits(older(report, version, woken))),
            "seconds_to_new_version": seconds_until_version(report, version, woken),
        },
    )
    assert older(report, version, woken) == []
    assert EventKind.BUS_GAP not in kinds(report)


def test_a_stopped_process_finds_its_hosts_tier_in_line_if_a_neighbour_was_awake(scene):
    """L2 was told by whoever was there to hear it."""
    host = scene.new_host()
    client, neighbour = scene.client(host), scene.client(host)
    client.pause()
    version, acknowledged = scene.forget()
    await_bound(acknowledged)
    neighbour.await_hit(version)
    woken = client.resume()
    client.await_hit(version)
    assert older(client.report(), version, woken) == []
    assert older(neighbour.report(), version, acknowledged + MAX_STALENESS) == []


@pytest.mark.parametrize("how", FORGETTING)
def test_a_stopped_process_alone_on_its_host_reads_nothing_old_from_its_hosts_tier(scene, how):
    """Nobody has told L2, so when the process wakes, L2 can be believed no more than L1."""
    client = scene.client(scene.new_host())
    client.pause()
    version, acknowledged = scene.forget(how)
    await_bound(acknowledged)
    woken = client.resume()
    client.await_hit(version)
    assert older(client.report(), version, woken) == []


@pytest.mark.parametrize("how", FORGETTING)
def test_a_process_on_a_host_where_none_was_awake_reads_nothing_old(scene, how):
    """What was forgotten while no process of the host ran is still in its L2."""
    host = scene.new_host()
    scene.client(host).kill()
    version, acknowledged = scene.forget(how)
    await_bound(acknowledged)
    client = scene.start_client(host)
    wait_until(lambda: client.report().runs[1:], reason="the new process reads")
    assert older(client.report(), version, acknowledged + MAX_STALENESS) == []


@pytest.mark.parametrize("is_long", [False, True], ids=["shortly", "for long"])
@pytest.mark.parametrize("place", ["no L2", "own L2"])
def test_a_log_trimmed_behind_the_back_of_a_process_is_a_gap(scene, keep_figures, place, is_long):
    """It has missed the announcement for good, says so, and forgets what it cannot prove."""
    client = scene.client(None if place == "no L2" else scene.new_host())
    client.pause()
    version, acknowledged = scene.forget()
    with scene.admin() as admin:
        assert admin.xtrim(LOG, maxlen=0, approximate=False) > 0
    if is_long:
        await_bound(acknowledged)
    woken = client.resume()
    client.await_hit(version)
    await_bound(acknowledged)
    report = client.report()
    past_bound = older(report, version, max(woken, acknowledged + MAX_STALENESS))
    keep_figures(
        f"bus-trimmed-{place.replace(' ', '-')}-{'long' if is_long else 'short'}",
        {
            "runs_of_stale_hits_past_bound": len(hits(past_bound)),
            "runs_of_stale_reads_past_bound": len(past_bound),
            "gaps": kinds(report).count(EventKind.BUS_GAP),
            "seconds_to_gap": seconds_until(report, EventKind.BUS_GAP, woken),
            "seconds_to_new_version": seconds_until_version(report, version, woken),
        },
    )
    assert past_bound == []
    assert kinds(report).count(EventKind.BUS_GAP) == 1


def kill_listeners(admin):
    """Cut the connections of all listeners, and return how many there were."""
    listening = [each["id"] for each in admin.client_list() if each["cmd"] in ("xread", "eval")]
    return sum(admin.client_kill_filter(_id=each) for each in listening)


def test_a_killed_connection_costs_no_stale_hit_and_is_no_gap(scene, keep_figures):
    """The log has kept what was announced meanwhile."""
    client = scene.client()
    acknowledgements = []
    with scene.admin() as admin:
        for how in FORGETTING:
            wait_until(lambda: kill_listeners(admin), reason="listeners are connected")
            version, acknowledged = scene.forget(how)
            acknowledgements.append((version, acknowledged))
            client.await_hit(version)
    report = client.report()
    stale = [hits(older(report, each, at + MAX_STALENESS)) for each, at in acknowledgements]
    keep_figures(
        "bus-connection-killed",
        {
            "runs_of_stale_hits_past_bound": sum(map(len, stale)),
            "losses": kinds(report).count(EventKind.BUS_LOST),
            "gaps": kinds(report).count(EventKind.BUS_GAP),
            "seconds_to_new_version": [
                seconds_until_version(report, each, at) for each, at in acknowledgements
            ],
        },
    )
    assert stale == [[]] * len(FORGETTING)
    assert EventKind.BUS_LOST in kinds(report)
    assert EventKind.BUS_BACK in kinds(report)
    assert EventKind.BUS_GAP not in kinds(report)


@pytest.mark.parametrize("place", ["no L2", "own L2"])
def test_a_process_that_is_kept_from_listening_reads_nothing_old(scene, keep_figures, place):
    """It reaches the authority but hears nothing: past max_staleness nothing above is believed."""
    client = scene.client(None if place == "no L2" else scene.new_host())
    with scene.admin() as admin:
        admin.execute_command("ACL", "SETUSER", "default", "-xread")
        kill_listeners(admin)
        version, acknowledged = scene.forget()
        await_bound(acknowledged)
        # Long enough for reads past the bound.
        await_bound(time.monotonic() - 0.5 * MAX_STALENESS)
        report = client.report()
        admin.execute_command("ACL", "SETUSER", "default", "+xread")
    past_bound = older(report, version, acknowledged + MAX_STALENESS)
    keep_figures(
        f"bus-deaf-{place.replace(' ', '-')}",
        {
            "runs_of_stale_hits_past_bound": len(hits(past_bound)),
            "runs_of_stale_reads_past_bound": len(past_bound),
        },
    )
    client.await_hit(version)
    assert EventKind.BUS_LOST in kinds(report)
    assert past_bound == []


@pytest.mark.parametrize("place", ["no L2", "own L2"])
def test_a_server_that_restarts_empty_is_a_gap(scene, keep_figures, place):
    """The log is gone with what was announced last; what was forgotten since is not served past the bound."""
    client = scene.client(None if place == "no L2" else scene.new_host())
    version, acknowledged = scene.forget()
    client.await_hit(version)
    lost = time.monotonic()
    scene.l3.kill()
    scene.l3.start()
    version, acknowledged = scene.forget()
    client.await_hit(version)
    await_bound(acknowledged)
    report = client.report()
    past_bound = older(report, version, acknowledged + MAX_STALENESS)
    keep_figures(
        f"bus-restarted-empty-{place.replace(' ', '-')}",
        {
            "runs_of_stale_hits_past_bound": len(hits(past_bound)),
            "runs_of_stale_reads_past_bound": len(past_bound),
            "degraded_reads": report.degraded,
            "gaps": kinds(report, lost).count(EventKind.BUS_GAP),
            "seconds_from_kill_to_gap": seconds_until(report, EventKind.BUS_GAP, lost),
            "seconds_to_new_version": seconds_until_version(report, version, acknowledged),
        },
    )
    assert past_bound == []
    assert kinds(report, lost).count(EventKind.BUS_GAP) >= 1
