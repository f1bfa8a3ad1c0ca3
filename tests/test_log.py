"""greencache.log."""

import hashlib
import logging
import os
import subprocess
import sys
import threading

import pytest
import structlog
from structlog.testing import CapturingLogger, capture_logs

from greencache.errors import ConfigurationError
from greencache.events import Event, EventKind, Recorder
from greencache.log import StructlogRecorder
from greencache.testing import FakeClock
from greencache.typing import CacheTier

KEY = "user:ann@example.org"
FINGERPRINT = hashlib.sha256(KEY.encode()).hexdigest()[:12]
DOWN = Event(EventKind.TIER_DOWN, CacheTier.L3, detail={"reason": "refused"})


@pytest.fixture(autouse=True)
def _structlog_as_it_was():
    """Leave structlog's global configuration as each test found it."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture
def clock():
    """Return a clock that the test moves."""
    return FakeClock()


@pytest.fixture
def logger():
    """Return a structlog logger that remembers its calls."""
    return CapturingLogger()


def fields_of(logger):
    """Return the fields of each line."""
    return [call.kwargs for call in logger.calls]


def test_an_event_becomes_a_line_with_its_fields(logger):
    """The kind is the name of the event; tier, key and details are fields."""
    recorder: Recorder = StructlogRecorder(logger)
    recorder.record(Event(EventKind.UNDECODABLE, CacheTier.L2, KEY, {"reason": "too short"}))
    (call,) = logger.calls
    assert (call.method_name, call.args) == ("warning", ("undecodable",))
    assert call.kwargs == {"tier": "L2", "key": KEY, "reason": "too short"}


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_of_event_is_logged_at_some_level(kind, logger):
    """No kind is forgotten, and what is absent is no field."""
    StructlogRecorder(logger, level="debug").record(Event(kind))
    (call,) = logger.calls
    assert call.method_name in {"debug", "info", "warning", "error"}
    assert (call.args, call.kwargs) == ((str(kind),), {})


def test_an_outage_is_a_warning_and_its_end_is_news(logger):
    """Who filters by level sees the outage."""
    recorder = StructlogRecorder(logger)
    for kind in (EventKind.TIER_DOWN, EventKind.TIER_UP):
        recorder.record(Event(kind, CacheTier.L3))
    assert [call.method_name for call in logger.calls] == ["warning", "info"]


def test_events_below_the_level_are_not_logged(logger):
    """They do not count for the limit either."""
    recorder = StructlogRecorder(logger, level="warning")
    for kind in (EventKind.INVALIDATED, EventKind.TIER_UP, EventKind.TIER_DOWN, EventKind.BACKGROUND_FAILED):
        recorder.record(Event(kind))
    assert [call.args[0] for call in logger.calls] == ["tier_down", "background_failed"]


@pytest.mark.parametrize(
    "wrong", [{"level": "loud"}, {"burst": 0}, {"period": 0.0}, {"period": float("nan")}]
)
def test_a_recorder_that_cannot_work_is_refused(wrong):
    """Wrong use is an error when the recorder is made."""
    with pytest.raises(ConfigurationError):
        StructlogRecorder(**wrong)


# ---- keys


def test_keys_can_be_redacted(logger):
    """No field shows a key, wherever it stands; the same key has the same stand-in."""
    recorder = StructlogRecorder(logger, redact_keys=True)
    detail = {
        "reason": f"{KEY!r} is damaged",
        "keys": [KEY],
        "tag": KEY,
        "pending": {"L3": (KEY,)},
        "bytes": 7,
    }
    recorder.record(Event(EventKind.UNDECODABLE, CacheTier.L2, KEY, detail))
    (fields,) = fields_of(logger)
    assert KEY not in str(fields)
    assert fields == {
        "tier": "L2",
        "key": FINGERPRINT,
        "reason": f"'{FINGERPRINT}' is damaged",
        "keys": [FINGERPRINT],
        "tag": FINGERPRINT,
        "pending": {"L3": [FINGERPRINT]},
        "bytes": 7,
    }


def test_any_key_can_be_redacted(logger):
    """A key that is not valid text is no reason to lose the event."""
    recorder = StructlogRecorder(logger, redact_keys=True)
    recorder.record(Event(EventKind.UNDECODABLE, key="\ud800", detail={"keys": 5, "reason": None}))
    assert (len(logger.calls), recorder.failures) == (1, 0)


# ---- the limit


def test_repeated_events_are_limited_and_counted(logger, clock):
    """A storm of one kind is told in a few lines; the next period says how many there were."""
    recorder = StructlogRecorder(logger, burst=3, period=1.0, clock=clock)
    for _ in range(10):
        recorder.record(DOWN)
    assert len(logger.calls) == 3
    clock.advance(1.0)
    recorder.record(DOWN)
    recorder.record(DOWN)
    assert [fields.get("suppressed") for fields in fields_of(logger)[3:]] == [7, None]


def test_the_limit_of_one_source_is_no_limit_of_another(logger, clock):
    """Another kind, and the same kind in another tier, have lines of their own."""
    recorder = StructlogRecorder(logger, burst=1, clock=clock)
    for event in (DOWN, DOWN, DOWN._replace(tier=CacheTier.L2), Event(EventKind.TIER_UP, CacheTier.L3)):
        recorder.record(event)
    assert len(logger.calls) == 3


def test_a_slow_trickle_is_never_suppressed(logger, clock):
    """Events that come one at a time are all logged."""
    recorder = StructlogRecorder(logger, burst=1, period=1.0, clock=clock)
    for _ in range(5):
        recorder.record(DOWN)
        clock.advance(1.0)
    assert fields_of(logger) == [{"tier": "L3", "reason": "refused"}] * 5


def test_threads_share_the_limit(logger, clock):
    """Many threads at once neither fail nor multiply the lines; a line more each is the price of no lock."""
    recorder = StructlogRecorder(logger, burst=10, clock=clock)
    start = threading.Barrier(8)

    def storm():
        start.wait(10)
        for _ in range(500):
            recorder.record(DOWN)

    threads = [threading.Thread(target=storm) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert 10 <= len(logger.calls) <= 100
    assert recorder.failures == 0


# ---- what can go wrong


class BrokenLogger:
    def __init__(self, error):
        self.error = error

    def warning(self, *_, **__):
        """Fail as told."""
        raise self.error


def test_a_broken_logger_does_not_break_the_cache():
    """The event is counted as lost and the caller goes on."""
    recorder = StructlogRecorder(BrokenLogger(OSError("disk full")))
    recorder.record(DOWN)
    recorder.record(DOWN._replace(detail={"event": "a name that structlog needs"}))
    assert recorder.failures == 2


def test_the_end_of_the_process_is_not_held_back():
    """Only ordinary exceptions are the logger's own business."""
    with pytest.raises(KeyboardInterrupt):
        StructlogRecorder(BrokenLogger(KeyboardInterrupt())).record(DOWN)


def test_a_handler_that_uses_the_cache_ends(clock):
    """A logger whose own work records events again is stopped by the limit."""

    class Circular:
        def warning(self, *_, **__):
            recorder.record(DOWN)

    recorder = StructlogRecorder(Circular(), clock=clock)
    recorder.record(DOWN)
    assert recorder.failures == 0


# ---- where lines go


def test_lines_go_to_the_standard_library_when_structlog_is_not_configured(caplog, capsys):
    """An application that has never heard of structlog finds them in its own log, and none on its output."""
    with caplog.at_level(logging.INFO, "greencache"):
        StructlogRecorder().record(DOWN._replace(key="a\nb"))
    (line,) = caplog.records
    assert (line.name, line.levelname) == ("greencache", "WARNING")
    assert line.getMessage() == "event='tier_down' tier='L3' key='a\\nb' reason='refused'"
    assert capsys.readouterr().out == ""


def test_the_level_of_the_standard_logger_counts(caplog):
    """What the application's logging would throw away is not rendered."""
    with caplog.at_level(logging.ERROR, "greencache"):
        recorder = StructlogRecorder()
        recorder.record(DOWN)
    assert (caplog.records, recorder.failures) == ([], 0)


def test_an_application_that_configures_structlog_gets_the_events(caplog):
    """Also when it does so after the recorder was made; its configuration stays its own."""
    recorder = StructlogRecorder()
    structlog.configure(cache_logger_on_first_use=False)
    before = structlog.get_config()
    with capture_logs() as lines:
        recorder.record(DOWN)
    assert lines == [{"event": "tier_down", "tier": "L3", "reason": "refused", "log_level": "warning"}]
    assert structlog.get_config() == before
    assert caplog.records == []


def test_a_recorder_does_not_configure_structlog():
    """To make one and to use it leaves structlog unconfigured."""
    StructlogRecorder().record(DOWN)
    assert not structlog.is_configured()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_can_log_while_the_parent_was_logging():
    """No lock of ours, and none of structlog's own output, is copied by a fork."""
    code = """
import logging, os, sys, threading
from greencache.events import Event, EventKind
from greencache.log import StructlogRecorder
logging.basicConfig(stream=open(os.devnull, "w"))
recorder = StructlogRecorder(burst=10**9)
done = threading.Event()
def storm():
    while not done.is_set():
        recorder.record(Event(EventKind.TIER_DOWN))
threads = [threading.Thread(target=storm) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(30):
    child = os.fork()
    if not child:
        recorder.record(Event(EventKind.TIER_UP))
        os._exit(recorder.failures)
    assert os.waitpid(child, 0)[1] == 0
done.set()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
