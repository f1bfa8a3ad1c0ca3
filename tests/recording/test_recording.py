"""Traces of what is asked of L1."""

import json
import os
import subprocess
import sys
import threading

import pytest

from greencache import CacheManager, cached
from greencache.errors import ConfigurationError
from greencache.events import EventKind
from greencache.recording import AccessLog
from greencache.recording.trace_file import BUFFERED
from greencache.simulate import read_trace, simulate
from greencache.testing import FakeClock
from greencache.tiers.memory_recorded import RecordedMemoryTier


class Told:
    """Keeps the events that it is told of."""

    def __init__(self):
        self.events = []

    def record(self, event):
        """Keep one."""
        self.events.append(event)


def recorded(folder, clock=None, recorder=None, **options):
    """Return a cache that records, with readable keys, and the file."""
    log = AccessLog(folder / "trace.jsonl", hash_keys=False, clock=clock, recorder=recorder, **options)
    return CacheManager([RecordedMemoryTier(accesses=log, ttl=None, clock=clock)], clock=clock), log.path


def requests_in(path):
    """Return what a trace tells."""
    return list(read_trace(path))


def test_each_access_is_one_request(tmp_path):
    """Whichever verb asks; a look that follows another within one call is none of its own."""
    cache, path = recorded(tmp_path)

    @cached(cache_manager=cache, key="f")
    def function():
        return 1

    cache.get_or_load("a", lambda: 1)
    cache.get_or_load("a", lambda: 1)
    cache.get("a")
    cache.get("missing")
    cache.mget(["a", "missing too"])
    cache.get_or_load_many(["a", "b"], lambda keys: dict.fromkeys(keys, 2))
    function()
    function()
    cache.set("set", 3)
    cache.get("set")
    cache.close()
    keys = [request.key for request in requests_in(path)]
    expected = {"a": 5, "b": 1, "f": 2, "set": 1, "missing": 1, "missing too": 1}
    assert {key: keys.count(key) for key in keys} == expected


def test_a_request_tells_size_ttl_and_cost(tmp_path):
    """Of a miss too: it is written when what it loads is stored."""
    clock = FakeClock()
    cache, path = recorded(tmp_path, clock)
    cache.get_or_load("a", lambda: clock.advance(0.5) or "x" * 1000, ttl=30)
    clock.advance(2)
    cache.get("a")
    cache.get_or_load("ever", lambda: 1, ttl=None)
    cache.close()
    first, second, ever = requests_in(path)
    assert (first.key, first.ttl, first.cost) == ("a", 30, 0.5)
    assert 1_000 < first.size < 2_000
    assert second == first._replace(time=first.time + 2)
    assert (ever.key, ever.ttl, ever.cost) == ("ever", None, None)


def test_an_expired_entry_is_a_miss_and_a_due_one_a_hit(tmp_path):
    """Each once."""
    clock = FakeClock()
    cache, path = recorded(tmp_path, clock)
    cache.set("a", 1, ttl=10, stale_ttl=100, refresh_ahead=0.5)
    clock.advance(6)
    cache.get("a")
    clock.advance(6)
    cache.get_or_load("a", lambda: 2, ttl=10)
    cache.close()
    due, expired = requests_in(path)
    assert due.ttl == 10
    assert expired.time == pytest.approx(due.time + 6)


def test_keys_are_hashed_unless_that_is_not_wanted(tmp_path):
    """A trace may be given to others: the same key is the same hash in one trace, and no other."""
    logs = []
    for name in ("one", "two"):
        with CacheManager(record=tmp_path / name) as cache:
            for _ in range(2):
                cache.get_or_load("user:ada@example.org", lambda: 1)
            logs.append(cache._engine.stack.memory._accesses.path)
    one, two = ([request.key for request in requests_in(path)] for path in logs)
    assert one[0] == one[1] != two[0]
    assert "ada" not in logs[0].read_text(encoding="utf-8")
    assert len(one[0]) == 20


def test_a_recorded_trace_can_be_simulated(tmp_path):
    """From the recording to the table: hits as the cache had them."""
    cache, path = recorded(tmp_path)
    for number in range(300):
        cache.get_or_load(f"k{number % 40}", lambda: "x" * 100)
    hits = cache.get_stats()["L1"].hits
    cache.close()
    simulation = simulate(read_trace(path), policies=["lru"], sizes=[10**6])
    assert simulation.trace.requests == 300
    assert simulation.trace.has_sizes
    assert simulation.outcomes[0].hit_ratio == pytest.approx(hits / 300)
    assert hits == 260


def test_little_is_in_memory(tmp_path):
    """What a killed process loses is bounded."""
    cache, path = recorded(tmp_path)
    cache.set("a", 1)
    for _ in range(3 * BUFFERED + 5):
        cache.get("a")
    assert len(requests_in(path)) == 3 * BUFFERED
    cache.close()
    assert len(requests_in(path)) == 3 * BUFFERED + 5


def test_recording_ends_at_its_size(tmp_path):
    """With an event, and whole lines; the cache goes on."""
    told = Told()
    cache, path = recorded(tmp_path, recorder=told, max_size=50_000)
    cache.set("a", 1)
    for _ in range(10 * BUFFERED):
        assert cache.get("a") == 1
    cache.close()
    assert 40_000 < path.stat().st_size <= 50_100
    assert len(requests_in(path)) > 100
    assert [event.kind for event in told.events] == [EventKind.RECORDING_ENDED]
    assert told.events[0].detail == {"reason": "it has reached its size"}


def test_a_file_that_cannot_be_written_fails_no_read(tmp_path):
    """It ends the recording, and an event says why."""
    told = Told()
    cache, _ = recorded(tmp_path, recorder=told)
    cache.set("a", 1)
    log = cache._engine.stack.memory._accesses
    reader, writer = os.pipe()
    os.close(reader)  # who writes gets EPIPE, as on a disk that is gone
    os.dup2(writer, log._file._file)
    os.close(writer)
    for _ in range(3 * BUFFERED):
        assert cache.get("a") == 1
    cache.close()
    assert [event.kind for event in told.events] == [EventKind.RECORDING_ENDED]
    assert "BrokenPipeError" in told.events[0].detail["reason"]


def test_a_file_that_cannot_be_made_is_refused(tmp_path):
    """When the cache is built, not when it is read."""
    with pytest.raises(ConfigurationError, match="record"):
        CacheManager(record=tmp_path / "missing" / "trace.jsonl")


def test_tiers_that_do_not_record_are_not_changed(tmp_path):
    """The one that records is another class; it says which."""
    with pytest.raises(ConfigurationError, match="RecordedMemoryTier"):
        CacheManager([], record=tmp_path / "trace.jsonl")


def test_settings_and_addresses_can_record(tmp_path):
    """As the constructor can."""
    path = tmp_path / "cache.yaml"
    path.write_text(
        f"l1:\n  record: {{path: {tmp_path / 'set.jsonl'}, hash_keys: false}}\n", encoding="utf-8"
    )
    with CacheManager.from_config(path) as cache:
        cache.get_or_load("a", lambda: 1)
    with CacheManager.from_urls(record=tmp_path / "urls.jsonl") as cache:
        cache.get_or_load("a", lambda: 1)
    pid = os.getpid()
    assert [request.key for request in requests_in(tmp_path / f"set.{pid}.jsonl")] == ["a"]
    assert len(requests_in(tmp_path / f"urls.{pid}.jsonl")) == 1


def test_threads_lose_no_hit(tmp_path):
    """Whoever writes, the others go on, and every line is whole."""
    cache, path = recorded(tmp_path)
    cache.mset({f"k{number}": number for number in range(8)})
    start = threading.Barrier(8)

    def read(key):
        start.wait(30)
        for _ in range(2_000):
            cache.get(key)

    threads = [threading.Thread(target=read, args=(f"k{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    cache.close()
    keys = [request.key for request in requests_in(path)]
    assert {key: keys.count(key) for key in set(keys)} == {f"k{number}": 2_000 for number in range(8)}


FORKING = """
import os, sys
from greencache import CacheManager

cache = CacheManager(record=sys.argv[1])
cache.set("a", 1)
for _ in range(10):
    cache.get("a")
child = os.fork()
for _ in range(5 if child else 3):
    cache.get("a")
if not child:
    cache.close()
    os._exit(0)
os.waitpid(child, 0)
print(os.getpid(), child)
"""


def test_a_forked_child_has_a_file_of_its_own(tmp_path):
    """What the parent had buffered is written once; nobody need close the cache at the end."""
    command = [sys.executable, "-c", FORKING, str(tmp_path / "trace.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    parent, child = done.stdout.split()
    assert len(requests_in(tmp_path / f"trace.{parent}.jsonl")) == 15
    assert len(requests_in(tmp_path / f"trace.{child}.jsonl")) == 3


def test_misses_that_load_nothing_do_not_pile_up(tmp_path):
    """They are written without what is not known."""
    cache, path = recorded(tmp_path)
    for number in range(25_000):
        cache.get(f"k{number}")
    log = cache._engine.stack.memory._accesses
    assert len(log._missed) <= 10_000
    cache.close()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 25_001
    assert set(json.loads(lines[1])) == {"k", "t"}


def test_what_is_known_of_entries_that_are_gone_is_forgotten(tmp_path):
    """Else a recording would take more memory than L1."""
    log = AccessLog(tmp_path / "trace.jsonl")
    cache = CacheManager([RecordedMemoryTier(50_000, accesses=log)])
    for number in range(5_000):
        cache.set(f"k{number}", "x" * 200)
    assert len(log._facts) < 1_500
    cache.close()
