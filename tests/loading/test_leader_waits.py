"""Who waits for the load of another process is woken by the bus, and finds out by itself without one."""

import time

import pytest

from greencache import MISSING
from greencache.errors import LoadTimeoutError
from greencache.loading import leader as leader_module
from greencache.testing import wait_until
from tests.loading.loaders import HeldLoader, ask, await_waiting, hear

NEVER = 25.0
"""Seconds between two looks of who is not woken; longer than any test waits for an answer."""
SOON = 10.0
"""Seconds in which a machine as busy as can be delivers an announcement."""


@pytest.fixture
def without_polling(monkeypatch):
    """Let who waits look again only when it is woken."""
    monkeypatch.setattr(leader_module, "_FIRST_PAUSE", NEVER)
    monkeypatch.setattr(leader_module, "_LONGEST_PAUSE", NEVER)


def waits_for(cache, key):
    """Return the answer of a caller of a cache that waits for another process's load, sound asleep."""
    answer = ask(cache.get_or_load, key, lambda: "own")
    await_waiting(cache, key)
    # Only once it sleeps is it the bus that wakes it.
    steps = cache._engine.reader.leader.waiters._wakes[key][0]
    wait_until(lambda: steps._event._cond._waiters, reason="it pauses")
    return answer


@pytest.mark.usefixtures("without_polling")
def test_who_waits_is_woken_by_a_fill(pair, loader):
    """And has the value, though it would have looked again only after the test."""
    first, second = pair()
    leading = ask(first.get_or_load, "k", loader)
    loader.await_begun()
    waiting = waits_for(second, "k")
    loader.release()
    assert waiting.result(SOON) == "new"
    assert leading.result(SOON) == "new"
    assert loader.calls == 1


@pytest.mark.usefixtures("without_polling")
def test_all_who_wait_are_woken(make_cache, redis_url, loader):
    """In as many processes as there are."""
    first, *others = (make_cache({"l3": redis_url}) for _ in range(4))
    ask(first.get_or_load, "k", loader)
    loader.await_begun()
    waiting = [waits_for(other, "k") for other in others]
    loader.release()
    assert [answer.result(SOON) for answer in waiting] == ["new"] * 3


@pytest.mark.usefixtures("without_polling")
def test_who_waits_loads_at_once_when_a_load_fails(pair):
    """The lease was given up, and whoever was first to hear of it has it now."""
    first, second = pair()
    failing = HeldLoader(LookupError("the first one's"))
    leading = ask(first.get_or_load, "k", failing)
    failing.await_begun()
    waiting = waits_for(second, "k")
    failing.release()
    assert waiting.result(SOON) == "own"
    with pytest.raises(LookupError):
        leading.result(SOON)
    assert second.get("k") == "own"


@pytest.mark.usefixtures("without_polling")
def test_who_waits_loads_at_once_when_a_value_is_declined(pair):
    """It was one process's own affair."""
    from greencache import current_load

    first, second = pair()
    declining = HeldLoader(lambda: current_load().decline())
    ask(first.get_or_load, "k", declining)
    declining.await_begun()
    waiting = waits_for(second, "k")
    declining.release()
    assert waiting.result(SOON) == "own"


@pytest.mark.usefixtures("without_polling")
@pytest.mark.parametrize(
    "forget",
    [
        lambda cache: cache.invalidate("k"),
        lambda cache: cache.delete("k"),
        lambda cache: cache.invalidate(pattern="k*"),
        lambda cache: cache.write("k", "written", lambda _: None),
    ],
    ids=["invalidate", "delete", "pattern", "write"],
)
@pytest.mark.parametrize("who", ["the holder", "the waiter", "a third"])
def test_who_waits_loads_at_once_when_the_key_is_dropped(make_cache, redis_url, loader, forget, who):
    """The drop has voided the lease that it waits for, and what that load brings is outdated."""
    first, second, third = (make_cache({"l3": redis_url}) for _ in range(3))
    ask(first.get_or_load, "k", loader)
    loader.await_begun()
    waiting = waits_for(second, "k")
    forget({"the holder": first, "the waiter": second, "a third": third}[who])
    assert waiting.result(SOON) == "own"
    assert loader.calls == 1
    loader.release()


@pytest.mark.usefixtures("without_polling")
def test_who_waits_has_what_was_set_meanwhile(pair, loader):
    """A writer does not wait for who loads."""
    first, second = pair()
    ask(first.get_or_load, "k", loader)
    loader.await_begun()
    waiting = waits_for(second, "k")
    first.set("k", "set")
    assert waiting.result(SOON) == "set"


@pytest.mark.usefixtures("without_polling")
def test_who_waits_for_a_reload_of_its_own_process_is_woken(make_cache, redis_url, loader, clock):
    """A reload in the background is no flight that could be joined."""
    cache = make_cache({"l3": redis_url}, l1=False, bus=False, clock=clock)
    cache.get_or_load("k", lambda: "old", ttl=10, refresh_ahead=0.5)
    clock.advance(6)
    assert cache.get_or_load("k", loader, ttl=10, refresh_ahead=0.5) == "old"
    loader.await_begun()
    clock.advance(6)
    waiting = waits_for(cache, "k")
    loader.release()
    assert waiting.result(SOON) == "new"


@pytest.mark.usefixtures("without_polling")
def test_who_waits_on_the_same_host_is_woken_for_what_only_the_host_keeps(
    make_cache, redis_servers, redis_url, loader
):
    """There the lease of the host's own tier elects."""
    from greencache import CacheTier

    urls = {"l2": redis_servers().url, "l3": redis_url}
    first, second = make_cache(urls), make_cache(urls)
    ask(first.get_or_load, "k", loader, tier=CacheTier.L2)
    loader.await_begun()
    waiting = ask(second.get_or_load, "k", lambda: "own", tier=CacheTier.L2)
    await_waiting(second, "k")
    loader.release()
    assert waiting.result(SOON) == "new"


@pytest.mark.parametrize("bus", [True, False])
def test_nobody_waits_in_vain_without_being_woken(pair, loader, bus):
    """Where nothing is announced, or gets lost, who waits looks by itself."""
    first, second = pair(bus=bus)
    second._engine.receiver.receive = lambda message: None
    second._engine.reader.leader.waiters.wake = lambda keys: None
    ask(first.get_or_load, "k", loader)
    loader.await_begun()
    waiting = ask(second.get_or_load, "k", lambda: "own")
    await_waiting(second, "k")
    loader.release()
    assert waiting.result(SOON) == "new"


def test_without_a_bus_a_failed_load_is_found_too(pair):
    """By the lease that is free."""
    first, second = pair(bus=False)
    failing = HeldLoader(LookupError())
    ask(first.get_or_load, "k", failing)
    failing.await_begun()
    waiting = ask(second.get_or_load, "k", lambda: "own")
    await_waiting(second, "k")
    failing.release()
    assert waiting.result(SOON) == "own"


# -- batches -------------------------------------------------------------------------------------------


def test_batches_that_cross_do_not_wait_for_each_other(pair):
    """Each loads at once what it has won, and stores it, before it waits for what the other has won."""
    first, second = pair(patience=25.0)
    ours, theirs = HeldLoader("first"), HeldLoader("second")
    one = ask(first.get_or_load_many, ["a", "b"], ours)
    ours.await_begun()
    other = ask(second.get_or_load_many, ["b", "c", "a"], theirs)
    theirs.await_begun()  # though "a" and "b" are being loaded elsewhere
    three = ask(first.get_or_load_many, ["c"], HeldLoader("never", is_held=False))
    await_waiting(first, "c")
    ours.release()
    assert one.result(SOON) == {"a": "first", "b": "first"}
    theirs.release()
    assert other.result(SOON) == {"a": "first", "b": "first", "c": "second"}
    assert three.result(SOON) == {"c": "second"}


def test_what_a_batch_has_won_is_there_before_it_waits_for_the_rest(pair):
    """Whoever wants only that need not wait."""
    first, second = pair()
    slow = HeldLoader("slow")
    ask(first.get_or_load, "slow", slow)
    slow.await_begun()
    batch = ask(second.get_or_load_many, ["slow", "fast"], lambda keys: dict.fromkeys(keys, "won"))
    await_waiting(second, "slow")
    assert first.get_or_load("fast", lambda: "never") == "won"
    assert not batch.done()
    slow.release()
    assert batch.result(SOON) == {"slow": "slow", "fast": "won"}


def test_what_is_won_late_is_loaded_before_the_rest_is_waited_for(pair):
    """Of two keys that others load, one load fails: its key is loaded though the other one hangs."""
    first, second = pair()
    failing, hanging = HeldLoader(LookupError()), HeldLoader("hung")
    ask(first.get_or_load, "fails", failing)
    ask(first.get_or_load, "hangs", hanging)
    failing.await_begun()
    hanging.await_begun()
    batch = ask(second.get_or_load_many, ["fails", "hangs"], lambda keys: dict.fromkeys(keys, "own"))
    await_waiting(second, "hangs")
    failing.release()
    wait_until(lambda: first.get("fails") == "own", reason="the key that was given up is loaded")
    assert not batch.done()
    hanging.release()
    assert batch.result(SOON) == {"fails": "own", "hangs": "hung"}


# -- without end ---------------------------------------------------------------------------------------


def test_who_waits_too_long_loads_itself(pair, loader):
    """A load that hangs, and whose lease is extended, delays others by their patience only."""
    first = pair(patience=25.0)[0]
    second = pair(patience=0.3)[0]
    ask(first.get_or_load, "k", loader)
    loader.await_begun()
    assert ask(second.get_or_load, "k", lambda: "own").result(SOON) == "own"


def test_a_hard_timeout_counts_while_another_process_loads_too(pair, loader):
    """The caller does not care who is slow."""
    first, second = pair()
    ask(first.get_or_load, "k", loader)
    loader.await_begun()
    with pytest.raises(LoadTimeoutError):
        second.get_or_load("k", lambda: "own", hard_timeout=0.05)
    loader.release()
    wait_until(lambda: second.get("k") == "new", reason="the load of the other process was found")


def test_a_stale_value_is_served_at_once_while_another_process_loads(pair, loader):
    """If there is one: whoever lets values be stale does not wait for another process."""
    first, second = pair(l1=False)
    first.set("k", "old", ttl=0.001, stale_ttl=3600)
    wait_until(lambda: first.get("k", MISSING) is MISSING, reason="it has expired")
    ask(first.get_or_load, "k", loader)
    loader.await_begun()
    began = time.monotonic()
    assert second.get_or_load("k", lambda: "own") == "old"
    assert time.monotonic() - began < SOON
    assert second.get_stats().loads.loads == 0


def test_a_waiter_is_told_again_after_its_note_has_ended(pair, loader):
    """It notes that it waits with each look, so a load of many leases' time wakes it all the same."""
    first, second = pair(lease_ttl=0.5)
    ask(first.get_or_load, "k", loader)
    loader.await_begun()
    waiting = ask(second.get_or_load, "k", lambda: "own")
    await_waiting(second, "k")
    redis = second._engine.stack.shared[-1].tier._manager
    name = second._engine.stack.shared[-1].tier._names.waiters("k")
    end = time.monotonic() + 1.5
    wait_until(lambda: time.monotonic() > end, reason="three leases' time has passed")
    assert redis.execute(b"EXISTS", name) == 1
    loader.release()
    assert waiting.result(SOON) == "new"
    hear(second, first)
