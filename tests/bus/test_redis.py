"""The bus over a Redis Stream, against real servers."""

import math
import os
import signal
import threading
import traceback
import warnings

import pytest

from greencache.backends.redis import RedisManager
from greencache.backends.scripts import load_script
from greencache.bus.base import Bus, Message, MessageKind
from greencache.bus.redis import RedisBus
from greencache.clock import SystemClock
from greencache.errors import ConfigurationError, TierUnavailableError
from greencache.events import EventKind
from greencache.testing import FakeClock, wait_until

LOG = b"gc:b:{app}"
JOINED = Message(MessageKind.JOINED)
GAP = Message(MessageKind.GAP)
HEARTBEAT = 0.1
STALENESS = 0.5


class Recorder:
    """Keeps the kinds of events."""

    def __init__(self):
        self.kinds = []

    def record(self, event):
        """Take note of an event."""
        self.kinds.append(event.kind)


class Member:
    """A bus with all that it has been told; stands for a process."""

    def __init__(self, manager, clock=None, handler=None, **options):
        self.clock = clock or SystemClock()
        self.recorder = Recorder()
        self.heard = []
        self._handler = handler
        settings = {"namespace": "app", "max_staleness": STALENESS, "heartbeat": HEARTBEAT} | options
        self.bus = RedisBus(manager, clock=self.clock, recorder=self.recorder, **settings)

    def handle(self, message):
        """Take note of a message."""
        if self._handler is not None:
            self._handler(message)
        self.heard.append(message)

    def start(self):
        """Begin to listen."""
        self.bus.start(self.handle)
        return self

    @property
    def is_trusting(self):
        """Whether hits would be served."""
        return self.clock.now() < self.bus.trusted_until

    @property
    def gaps(self):
        """How many gaps there were."""
        return self.heard.count(GAP)

    def announced(self):
        """Return the first keys of what was announced, in the order in which it was heard."""
        return [message.keys[0] for message in self.heard if message.keys]

    def await_trust(self):
        """Wait until hits would be served."""
        wait_until(lambda: self.is_trusting, reason="the listener has caught up")
        return self

    def await_key(self, key):
        """Wait until a key is announced."""
        wait_until(lambda: key in self.announced(), reason=f"{key} is announced")

    def await_gap(self, number):
        """Wait until a gap was noticed, and hits would be served again."""
        wait_until(lambda: self.gaps >= number and self.is_trusting, reason="the gap is noticed and closed")


@pytest.fixture
def manager(redis_url):
    """Talks to the server, for the buses and for the test itself."""
    manager = RedisManager(redis_url)
    yield manager
    manager.close()


@pytest.fixture
def make_member(manager):
    """Make members, and stop them in the end."""
    members = []

    def make(through=None, **options):
        members.append(Member(through or manager, **options))
        return members[-1]

    yield make
    for member in members:
        member.bus.close()


def drop(*keys):
    """Return an announcement."""
    return Message(MessageKind.DROP, keys=keys)


def connections_of_listeners(manager):
    """Return the ids of the clients that wait for messages."""
    clients = manager.execute("CLIENT", "LIST").decode().splitlines()
    facts = [dict(fact.split("=", 1) for fact in line.split()) for line in clients]
    return [fact["id"] for fact in facts if fact["cmd"].startswith(("xread", "eval"))]


class TestAnnouncing:
    def test_it_is_a_bus(self, make_member):
        """It has what the protocol asks for."""
        bus: Bus = make_member().bus
        assert bus.applied() == 0

    def test_messages_have_consecutive_numbers(self, make_member):
        """Whoever publishes."""
        one, two = make_member(), make_member()
        numbers = [member.bus.publish(drop("k")) for member in (one, two, one, two)]
        assert numbers == [1, 2, 3, 4]

    def test_numbers_go_on_after_the_log_was_emptied(self, make_member, manager):
        """Redis refuses an id below the last one."""
        bus = make_member().bus
        assert [bus.publish(drop("k")) for _ in range(3)] == [1, 2, 3]
        manager.execute("XTRIM", LOG, "MAXLEN", 0)
        assert bus.publish(drop("k")) == 4

    @pytest.mark.parametrize(
        "message",
        [
            drop("*", "{x}", "\0", "\r\n", "日本語"),
            drop(),
            Message(MessageKind.MATCH, pattern="us?r:*"),
            Message(MessageKind.STAMP, stamps={"": "a", "tag": "b"}),
        ],
        ids=lambda message: message.kind,
    )
    def test_a_message_arrives_as_it_was_sent(self, make_member, message):
        """Every kind, and strange keys."""
        member = make_member().start().await_trust()
        number = make_member().bus.publish(message)
        assert member.bus.wait_applied(number, 10)
        assert member.heard[-1] == message

    def test_a_large_drop_is_split(self, make_member):
        """No message is longer than what a listener can take in one piece."""
        member = make_member().start().await_trust()
        keys = tuple(f"k{number}" for number in range(1_200))
        number = make_member().bus.publish(drop(*keys))
        assert member.bus.wait_applied(number, 10)
        parts = [message.keys for message in member.heard if message.keys]
        assert [len(part) for part in parts] == [500, 500, 200]
        assert sum(parts, ()) == keys

    def test_the_log_is_bounded(self, make_member, manager):
        """Nobody has to read it for it to stay short."""
        bus = make_member(max_length=100).bus
        for _ in range(500):
            bus.publish(drop("k"))
        assert manager.execute("XLEN", LOG) < 300

    def test_namespaces_do_not_hear_each_other(self, make_member):
        """Not even where one's name begins with the other's."""
        member = make_member().start().await_trust()
        make_member(namespace="app2").bus.publish(drop("theirs"))
        number = make_member().bus.publish(drop("ours"))
        assert member.bus.wait_applied(number, 10)
        assert member.announced() == ["ours"]

    def test_what_cannot_be_announced_says_so(self, redis_servers, make_member):
        """A dead server is an error of the publisher's."""
        server = redis_servers()
        manager = RedisManager(server.url)
        server.kill()
        with pytest.raises(TierUnavailableError):
            make_member(manager).bus.publish(drop("k"))
        manager.close()


class TestListening:
    def test_who_joins_is_told_first(self, make_member):
        """What was learned before the log was first looked at cannot be proved."""
        make_member().bus.publish(drop("before"))
        member = make_member()
        assert not member.is_trusting
        member.start().await_trust()
        assert member.heard == [JOINED]
        assert EventKind.BUS_GAP not in member.recorder.kinds

    def test_a_listener_that_finds_no_thread_is_started_by_a_later_call(self, make_member, monkeypatch):
        """Whoever reads or announces must not fail for it: nothing is trusted, and that is told once."""
        member = make_member()

        def refuse(thread):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            for _ in range(2):
                member.start()
            member.bus.publish(drop("k"))
            assert not member.is_trusting
            assert member.recorder.kinds.count(EventKind.BUS_LOST) == 1
        member.start().await_trust()
        assert EventKind.BUS_BACK in member.recorder.kinds

    def test_a_bus_whose_listener_found_no_thread_can_be_closed(self, make_member, monkeypatch):
        """There is nothing to wait for."""
        member = make_member()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", lambda _: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                member.start()
        member.bus.close()

    def test_an_order_is_the_same_for_all(self, make_member):
        """Two publish at once, two listen and hear the same."""
        listeners = [make_member().start().await_trust() for _ in range(2)]
        publishers = [make_member() for _ in range(2)]

        def publish(name, bus):
            for number in range(150):
                bus.publish(drop(f"{name}{number}"))

        threads = [
            threading.Thread(target=publish, args=(n, p.bus)) for n, p in zip("ab", publishers, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        last = publishers[0].bus.publish(drop("end"))
        for listener in listeners:
            assert listener.bus.wait_applied(last, 10)
            assert listener.gaps == 0
            assert [key for key in listener.announced() if key[0] == "a"] == [
                f"a{number}" for number in range(150)
            ]
        assert listeners[0].announced() == listeners[1].announced()
        assert len(listeners[0].announced()) == 301

    def test_ones_own_messages_are_skipped(self, make_member):
        """They were applied before they were announced; their number still counts as applied."""
        one, two = (make_member().start().await_trust() for _ in range(2))
        number = one.bus.publish(drop("mine"))
        last = two.bus.publish(drop("yours"))
        assert one.bus.wait_applied(number, 10)
        assert one.bus.wait_applied(last, 10)
        assert two.bus.wait_applied(last, 10)
        assert one.announced() == ["yours"]
        assert two.announced() == ["mine"]
        assert one.bus.applied() == last

    def test_waiting_for_a_number_has_an_end(self, make_member):
        """Nobody waits for what is not announced."""
        member = make_member().start().await_trust()
        assert not member.bus.wait_applied(member.bus.applied() + 1, 0.01)

    def test_messages_heard_in_many_batches_are_all_applied(self, make_member):
        """A listener that was busy catches up, and trusts again when it has reached the end."""
        gate = threading.Event()
        member = make_member(handler=lambda message: message.keys and gate.wait(10)).start().await_trust()
        other = make_member().bus
        for number in range(350):
            last = other.publish(drop(str(number)))
        wait_until(lambda: not member.is_trusting, reason="trust lapses while messages wait")
        gate.set()
        assert member.bus.wait_applied(last, 10)
        assert member.announced() == [str(number) for number in range(350)]
        assert member.gaps == 0
        member.await_trust()

    def test_a_full_batch_proves_nothing(self, make_member):
        """There may be more behind it, announced long ago."""
        clock, gate = FakeClock(), threading.Event()
        seen = []

        def look(message):
            if message.keys == ("wait",):
                gate.wait(10)
            seen.append(member.bus.trusted_until)

        member = make_member(clock=clock, handler=look)
        member.start().await_trust()
        other = make_member().bus
        other.publish(drop("wait"))
        for number in range(150):
            last = other.publish(drop(str(number)))
        clock.advance(60)
        gate.set()
        assert member.bus.wait_applied(last, 10)
        assert set(seen[1:]) == {1_000.0 + STALENESS}, "trusted before the end was reached"
        member.await_trust()

    def test_trust_counts_from_the_question_and_not_from_the_answer(self, manager, make_member):
        """An answer that was long under way proves nothing about the time since the question."""
        clock = FakeClock()
        member = make_member(SlowListeners(manager, clock, seconds=0.3), clock=clock).start()
        wait_until(lambda: member.bus.trusted_until > -math.inf, reason="the listener has begun")
        # The question for the end of the log was asked at 1000, 1000.3 or so on; the clock is now past it.
        assert member.bus.trusted_until <= clock.now() - 0.3 + STALENESS + 1e-6

    def test_without_a_limit_trust_never_ends(self, make_member):
        """`max_staleness=None` switches it off, from the moment on from which all is heard."""
        member = make_member(max_staleness=None)
        assert member.bus.trusted_until == -math.inf
        member.start()
        other = make_member().bus
        assert member.bus.wait_applied(other.publish(drop("k")), 10)
        assert member.bus.trusted_until == math.inf
        member.bus.close()
        assert member.bus.trusted_until == -math.inf

    @pytest.mark.parametrize(
        "options",
        [
            {"max_staleness": 0.9, "heartbeat": 0.5},
            {"max_staleness": math.nan},
            {"heartbeat": 0.0},
            {"heartbeat": math.nan},
            {"heartbeat": math.inf},
            {"max_length": 0},
        ],
    )
    def test_limits_that_cannot_work_are_refused(self, make_member, options):
        """When the bus is built, not at the first message."""
        with pytest.raises(ConfigurationError):
            make_member(**options)


class SlowListeners:
    """A manager whose listeners take their time, by a clock of the test's."""

    def __init__(self, manager, clock, seconds):
        self._manager = manager
        self._clock = clock
        self._seconds = seconds

    def __getattr__(self, name):
        return getattr(self._manager, name)

    def open_listener(self, read_timeout, key):
        """Return a slow listener."""
        listener = self._manager.open_listener(read_timeout, key)
        execute = listener.execute

        def execute_slowly(*command):
            reply = execute(*command)
            self._clock.advance(self._seconds)
            return reply

        return _Listener(execute_slowly, listener.close)


class _Listener:
    def __init__(self, execute, close):
        self.execute = execute
        self.close = close


class TestGaps:
    @pytest.mark.parametrize(
        "command",
        [("XTRIM", LOG, "MAXLEN", 0), ("DEL", LOG), ("FLUSHALL",), ("SET", LOG, "foreign")],
        ids=lambda command: command[0],
    )
    def test_a_log_that_was_lost_is_a_gap(self, make_member, manager, command):
        """Even if nothing is announced afterwards; and what is announced then is heard."""
        member, other = make_member().start().await_trust(), make_member()
        other.bus.publish(drop("before"))
        member.await_key("before")
        manager.execute(*command)
        if command[0] == "SET":
            wait_until(lambda: not member.is_trusting, reason="what is no log proves nothing")
            manager.execute("DEL", LOG)
        member.await_gap(1)
        other.bus.publish(drop("after"))
        member.await_key("after")
        assert member.gaps == 1
        assert EventKind.BUS_GAP in member.recorder.kinds

    def test_a_new_log_that_is_longer_than_the_old_one_is_a_gap(self, make_member, manager):
        """The next number comes, but from another history."""
        gate = threading.Event()
        member = make_member(handler=lambda message: message.keys == ("wait",) and gate.wait(10)).start()
        member.await_trust()
        other = make_member().bus
        position = other.publish(drop("wait"))
        wait_until(lambda: member.bus.applied() == position - 1, reason="the listener waits in its handler")
        manager.execute("DEL", LOG)
        numbers = [other.publish(drop(f"new{number}")) for number in range(position + 5)]
        assert position + 1 in numbers
        gate.set()
        member.await_gap(1)

    def test_a_new_log_that_is_as_long_as_the_old_one_is_a_gap(self, make_member, manager):
        """Nothing comes after it, and yet it is another one."""
        gate = threading.Event()
        member = make_member(handler=lambda message: message.keys == ("wait",) and gate.wait(10)).start()
        member.await_trust()
        other = make_member().bus
        position = other.publish(drop("wait"))
        wait_until(lambda: member.bus.applied() == position - 1, reason="the listener waits in its handler")
        manager.execute("DEL", LOG)
        assert [other.publish(drop("new")) for _ in range(position)][-1] == position
        gate.set()
        member.await_gap(1)

    def test_nothing_is_trusted_between_a_gap_and_its_end(self, make_member, manager):
        """However long trust would have lasted."""
        is_able = threading.Event()

        def forget(message):
            if message == GAP and not is_able.is_set():
                raise ValueError("no")

        member = make_member(handler=forget, max_staleness=3_600.0).start().await_trust()
        manager.execute("DEL", LOG)
        wait_until(lambda: not member.is_trusting, reason="the gap is noticed")
        assert member.gaps == 0
        is_able.set()
        member.await_gap(1)

    def test_a_tail_lost_in_a_failover_is_a_gap(self, make_member, manager):
        """A replica that had not got the last message takes over and numbers on from there."""
        gate = threading.Event()
        member = make_member(handler=lambda message: message.keys == ("lost",) and gate.wait(10)).start()
        member.await_trust()
        other = make_member().bus
        other.publish(drop("kept"))
        replica = manager.execute("DUMP", LOG)
        lost = other.publish(drop("lost"))
        wait_until(lambda: member.bus.applied() == lost - 1, reason="the listener waits in its handler")
        manager.execute("RESTORE", LOG, 0, replica, "REPLACE")
        assert other.publish(drop("missed")) == lost
        assert other.publish(drop("next")) == lost + 1
        gate.set()
        member.await_gap(1)

    def test_a_listener_that_is_too_slow_has_a_gap(self, make_member):
        """What was trimmed before it was read was missed."""
        gate = threading.Event()
        member = make_member(handler=lambda message: message.keys == ("wait",) and gate.wait(10)).start()
        member.await_trust()
        other = make_member(max_length=10).bus
        other.publish(drop("wait"))
        wait_until(lambda: not member.is_trusting, reason="the listener waits in its handler")
        for number in range(500):
            other.publish(drop(str(number)))
        gate.set()
        member.await_gap(1)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda manager: manager.execute("XADD", LOG, "*", "foreign", "entry"),
            lambda manager: manager.execute(
                "XADD", LOG, "*", "mark", "m", "previous", "", "origin", "o", "body", "b"
            ),
            lambda manager: manager.run_script(load_script("publish"), [LOG], [1_000, "m", "o", b"\xff\xff"]),
            lambda manager: manager.run_script(load_script("publish"), [LOG], [1_000, "m", "o", b"\x80"]),
        ],
        ids=["foreign", "out of order", "not MessagePack", "no message"],
    )
    def test_what_cannot_be_read_is_a_gap(self, make_member, manager, spoil):
        """Nobody knows what it would have said; the listener goes on behind it."""
        member, other = make_member().start().await_trust(), make_member()
        spoil(manager)
        member.await_gap(1)
        other.bus.publish(drop("after"))
        member.await_key("after")
        assert member.gaps == 1

    def test_a_handler_that_fails_is_a_gap(self, make_member):
        """What was half forgotten is forgotten as a whole."""

        def fail_once(message):
            if message.keys == ("bad",):
                raise ValueError("no")

        member, other = make_member(handler=fail_once).start().await_trust(), make_member()
        other.bus.publish(drop("bad"))
        member.await_gap(1)
        other.bus.publish(drop("good"))
        member.await_key("good")
        assert member.announced() == ["good"]

    def test_nothing_is_trusted_while_the_past_cannot_be_forgotten(self, make_member):
        """A handler that cannot forget is asked again, and until it can, no trust."""
        is_able = threading.Event()
        asked = []

        def forget(message):
            asked.append(message)
            if not is_able.is_set():
                raise ValueError("no")

        member = make_member(handler=forget).start()
        wait_until(lambda: len(asked) > 2, reason="the handler is asked again")
        assert not member.is_trusting
        is_able.set()
        member.await_trust()
        assert asked == [JOINED] * len(asked)
        assert member.recorder.kinds == [EventKind.BUS_LOST, EventKind.BUS_BACK]


class TestOutages:
    def test_trust_ends_when_the_server_hangs(self, redis_servers, make_member):
        """Within `max_staleness`, without any error from the server; and comes back without a gap."""
        server = redis_servers()
        manager = RedisManager(server.url)
        member = make_member(manager).start().await_trust()
        server.pause()
        stopped = member.clock.now()
        assert member.bus.trusted_until <= stopped + STALENESS
        wait_until(lambda: not member.is_trusting, reason="trust has lapsed")
        # No answer is under way any more: nothing can have moved the limit since.
        assert member.bus.trusted_until <= stopped + STALENESS
        wait_until(lambda: EventKind.BUS_LOST in member.recorder.kinds, reason="the loss is recorded")
        server.resume()
        member.await_trust()
        other = make_member(manager).bus
        wait_until(
            lambda: _try(lambda: other.publish(drop("after"))), reason="the server takes messages again"
        )
        member.await_key("after")
        assert member.gaps == 0
        wait_until(lambda: EventKind.BUS_BACK in member.recorder.kinds, reason="the return is recorded")
        assert member.recorder.kinds == [EventKind.BUS_LOST, EventKind.BUS_BACK]
        member.bus.close()
        manager.close()

    def test_a_killed_connection_catches_up_without_a_gap(self, make_member, manager):
        """The log has kept what was announced meanwhile."""
        member, other = make_member().start().await_trust(), make_member().bus
        for number in range(100):
            last = other.publish(drop(str(number)))
            if number % 20 == 10:
                killed = wait_until(
                    lambda: [
                        each
                        for each in connections_of_listeners(manager)
                        if manager.execute("CLIENT", "KILL", "ID", each, "SKIPME", "yes")
                    ],
                    reason="the listener is connected",
                )
                assert killed
        assert member.bus.wait_applied(last, 10)
        assert member.announced() == [str(number) for number in range(100)]
        assert member.gaps == 0
        member.await_trust()
        assert EventKind.BUS_LOST in member.recorder.kinds
        assert EventKind.BUS_GAP not in member.recorder.kinds

    def test_a_server_that_is_down_at_the_start_is_waited_for(self, redis_servers, make_member):
        """Starting neither waits nor raises."""
        server = redis_servers()
        server.stop()
        manager = RedisManager(server.url)
        member = make_member(manager).start()
        wait_until(lambda: member.recorder.kinds, reason="the loss is recorded")
        assert not member.is_trusting
        assert member.heard == []
        server.start()
        member.await_trust()
        assert member.heard == [JOINED]
        wait_until(lambda: len(member.recorder.kinds) == 2, reason="the return is recorded")
        assert member.recorder.kinds == [EventKind.BUS_LOST, EventKind.BUS_BACK]
        member.bus.close()
        manager.close()

    def test_a_server_that_comes_back_empty_is_a_gap(self, redis_servers, make_member):
        """The log is gone with what was announced last."""
        server = redis_servers()
        manager = RedisManager(server.url)
        member = make_member(manager).start().await_trust()
        server.kill()
        server.start()
        member.await_gap(1)
        member.bus.close()
        manager.close()


def _try(call):
    try:
        return call()
    except TierUnavailableError:
        return None


class TestProcesses:
    def test_closing_ends_the_thread_and_may_be_repeated(self, make_member):
        """Nothing is heard afterwards, and nothing is trusted."""
        before = threading.active_count()
        member = make_member().start().await_trust()
        assert threading.active_count() == before + 1
        member.bus.close()
        member.bus.close()
        assert threading.active_count() == before
        assert not member.is_trusting
        make_member().bus.publish(drop("late"))
        member.start()
        assert threading.active_count() == before
        assert member.announced() == []
        assert member.recorder.kinds == []

    def test_threads_that_start_it_at_the_same_time_start_one_listener(self, make_member, monkeypatch):
        """Whoever comes while its thread is being started waits for that."""
        is_starting, member = threading.Event(), make_member()
        before = set(threading.enumerate())

        class SlowThread(threading.Thread):
            def start(self):
                is_starting.set()
                # Long enough for the other one to come here, were it let in.
                threading.Event().wait(0.1)
                super().start()

        other = threading.Thread(target=lambda: is_starting.wait(10) and member.start())
        other.start()
        with monkeypatch.context() as patched:
            patched.setattr(threading, "Thread", SlowThread)
            member.start()
            other.join()
        started = [thread.name for thread in threading.enumerate() if thread not in before]
        assert started == ["greencache-bus"]

    def test_closing_waits_for_no_heartbeat(self, make_member):
        """The listener is woken."""
        before = threading.active_count()
        member = make_member(heartbeat=60.0, max_staleness=120.0).start().await_trust()
        member.bus.close()
        assert threading.active_count() == before

    def test_closing_is_quick_while_the_server_is_down(self, redis_servers, make_member):
        """A pause before the next attempt is cut short."""
        server = redis_servers()
        server.stop()
        manager = RedisManager(server.url)
        before = threading.active_count()
        member = make_member(manager).start()
        wait_until(lambda: member.recorder.kinds, reason="the first attempt has failed")
        member.bus.close()
        assert threading.active_count() == before
        manager.close()

    def test_a_forked_child_listens_anew(self, make_member):
        """It trusts nothing until its own listener runs, hears its parent, and is heard by it."""
        member = make_member().start().await_trust()
        with warnings.catch_warnings():
            # Newer Pythons warn that threads do not survive a fork, which is what is tested here.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            _run_child(lambda: _child_listens(member))
        try:
            member.await_key("from the child")
            number = member.bus.publish(drop("from the parent"))
            assert number > 0
            status = wait_until(lambda: os.waitpid(child, os.WNOHANG)[0] and [0], reason="the child ends")
            assert status
            child = 0
            member.await_key("the child has heard")
        finally:
            if child:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        assert member.gaps == 0


def _child_listens(member):
    assert not member.is_trusting
    member.heard.clear()
    member.start()
    member.await_trust()
    assert member.heard[0] == JOINED
    member.bus.publish(drop("from the child"))
    member.await_key("from the parent")
    assert "from the child" not in member.announced()
    number = member.bus.publish(drop("the child has heard"))
    assert member.bus.wait_applied(number, 10)
    member.bus.close()


def _run_child(body):
    status = 1
    try:
        body()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


class TestInterruptedStart:
    def test_a_listener_that_counts_as_ended_by_mistake_ends(self, make_member):
        """As a signal's handler that raises in `is_alive` leaves it; two would see each other's gaps."""
        member = make_member()
        member.start()
        assert member.bus.wait_joined(10)
        first = member.bus._daemon.thread
        first.is_alive = lambda: False
        member.bus.start(member.bus._handler)
        second = member.bus._daemon.thread
        assert second is not first
        first.join(10)
        assert not threading.Thread.is_alive(first)
        assert second.is_alive()
