"""Whole caches while the bus is cut, trimmed or emptied: L1 never vouches for what it cannot know."""

import time

import pytest

from greencache.events import EventKind
from greencache.testing import wait_until
from tests.faults.figures import IS_LONG
from tests.faults.scene import (
    FORGETTING,
    LOG,
    MAX_STALENESS,
    await_bound,
    hits,
    kill_listeners,
    kinds,
    older,
    seconds_until,
    seconds_until_version,
)

PLACES = ["no L2", "own L2"] if IS_LONG else ["own L2"]


def ways(*shortly):
    """Try all ways of forgetting in a long run, and only some in a short one."""
    return pytest.mark.parametrize("how", list(FORGETTING) if IS_LONG else shortly)


pytestmark = [pytest.mark.faults, pytest.mark.timeout(200)]


@ways("key")
def test_a_process_that_was_stopped_for_long_trusts_no_l1_when_it_wakes(scene, figure, how):
    """Not for one read, although its reader may go on before its listener does."""
    client = scene.client()
    client.pause()
    version, acknowledged = scene.forget(how)
    await_bound(acknowledged)
    woken = client.resume()
    client.await_hit(version)
    report = client.report()
    figure(
        63,
        f"stale reads after waking ({how})",
        len(older(report, version, woken)),
        bound="== 0",
        seconds_to_new_version=seconds_until_version(report, version, woken),
    )
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


@ways("pattern")
def test_a_stopped_process_alone_on_its_host_reads_nothing_old_from_its_hosts_tier(scene, how):
    """Nobody has told L2, so when the process wakes, L2 can be believed no more than L1."""
    client = scene.client(scene.new_host())
    client.pause()
    version, acknowledged = scene.forget(how)
    await_bound(acknowledged)
    woken = client.resume()
    client.await_hit(version)
    assert older(client.report(), version, woken) == []


@ways("tag")
def test_a_process_on_a_host_where_none_was_awake_reads_nothing_old(scene, how):
    """What was forgotten while no process of the host ran is still in its L2."""
    host = scene.new_host()
    scene.client(host).kill()
    version, acknowledged = scene.forget(how)
    await_bound(acknowledged)
    client = scene.start_client(host)
    wait_until(lambda: client.report().runs[1:], reason="the new process reads")
    assert older(client.report(), version, acknowledged + MAX_STALENESS) == []


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("time_away", ["short", "long"] if IS_LONG else ["long"])
def test_a_log_trimmed_behind_the_back_of_a_process_is_a_gap(scene, figure, place, time_away):
    """It has missed the announcement for good, says so, and forgets what it cannot prove."""
    client = scene.client(None if place == "no L2" else scene.new_host())
    client.pause()
    version, acknowledged = scene.forget()
    with scene.admin() as admin:
        assert admin.xtrim(LOG, maxlen=0, approximate=False) > 0
    if time_away == "long":
        await_bound(acknowledged)
    woken = client.resume()
    client.await_hit(version)
    await_bound(acknowledged)
    report = client.report()
    past_bound = older(report, version, max(woken, acknowledged + MAX_STALENESS))
    figure(
        "P9",
        f"stale reads past the bound, log trimmed ({place}, {time_away})",
        len(past_bound),
        bound="== 0",
        seconds_to_gap=seconds_until(report, EventKind.BUS_GAP, woken),
        seconds_to_new_version=seconds_until_version(report, version, woken),
    )
    assert kinds(report).count(EventKind.BUS_GAP) == 1


def test_a_killed_connection_costs_no_stale_hit_and_is_no_gap(scene, figure):
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
    figure(
        56,
        "stale hits past the bound",
        sum(map(len, stale)),
        bound="== 0",
        losses=kinds(report).count(EventKind.BUS_LOST),
        seconds_to_new_version=[seconds_until_version(report, each, at) for each, at in acknowledgements],
    )
    assert EventKind.BUS_LOST in kinds(report)
    assert EventKind.BUS_BACK in kinds(report)
    assert EventKind.BUS_GAP not in kinds(report)


@pytest.mark.parametrize("place", PLACES)
def test_a_process_that_is_kept_from_listening_reads_nothing_old(scene, figure, place):
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
    figure(56, f"stale reads past the bound, kept from listening ({place})", len(past_bound), bound="== 0")
    client.await_hit(version)
    assert EventKind.BUS_LOST in kinds(report)


@pytest.mark.parametrize("place", PLACES)
def test_a_server_that_restarts_empty_is_a_gap(scene, figure, place):
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
    figure(
        21,
        f"stale reads past the bound ({place})",
        len(past_bound),
        bound="== 0",
        degraded_reads=report.degraded,
        seconds_from_kill_to_gap=seconds_until(report, EventKind.BUS_GAP, lost),
        seconds_to_new_version=seconds_until_version(report, version, acknowledged),
    )
    assert kinds(report, lost).count(EventKind.BUS_GAP) >= 1
