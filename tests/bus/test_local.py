"""The bus within a process."""

import math
import threading

import pytest

from greencache.bus.base import Bus, Message, MessageKind
from greencache.bus.local import LocalBus, LocalHub
from greencache.events import EventKind


class Recorder:
    """Keeps the kinds of events."""

    def __init__(self):
        self.kinds = []

    def record(self, event):
        """Take note of an event."""
        self.kinds.append(event.kind)


@pytest.fixture
def hub():
    """Where the buses of a test meet."""
    return LocalHub()


def member(hub, handler=None):
    """Return a started bus and what it has heard."""
    heard = []
    bus = LocalBus(hub, Recorder())

    def handle(message):
        if handler is not None and message.kind is not MessageKind.JOINED:
            handler(message)
        heard.append(message)

    bus.start(handle)
    assert heard.pop() == Message(MessageKind.JOINED)
    return bus, heard


def drop(*keys):
    """Return an announcement."""
    return Message(MessageKind.DROP, keys=keys)


def test_it_is_a_bus_that_is_always_trusted(hub):
    """Nothing can be missed."""
    bus: Bus = member(hub)[0]
    assert bus.trusted_until == math.inf


def test_the_others_have_heard_when_publish_returns(hub):
    """All but the publisher."""
    (one, heard_by_one), (_, heard_by_two), (_, heard_by_three) = (member(hub) for _ in range(3))
    assert one.publish(drop("k")) == 1
    assert heard_by_one == []
    assert heard_by_two == heard_by_three == [drop("k")]


def test_numbers_count_ones_own_messages_too(hub):
    """What is applied is known by its number."""
    (one, _), (two, _) = member(hub), member(hub)
    assert [one.publish(drop("a")), two.publish(drop("b"))] == [1, 2]
    assert (one.applied(), two.applied()) == (2, 2)


def test_who_has_left_hears_no_more_and_may_still_publish(hub):
    """Closing may be repeated."""
    (one, heard_by_one), (_, heard_by_two) = member(hub), member(hub)
    one.close()
    one.close()
    one.publish(drop("k"))
    assert heard_by_one == []
    assert heard_by_two == [drop("k")]


def test_who_has_not_started_hears_nothing(hub):
    """A bus may be used to publish only."""
    LocalBus(hub).publish(drop("k"))
    _, heard = member(hub)
    LocalBus(hub).publish(drop("l"))
    assert heard == [drop("l")]


def test_starting_twice_is_hearing_once(hub):
    """The last handler counts, and has not joined anew."""
    bus, heard = member(hub)
    bus.start(heard.append)
    LocalBus(hub).publish(drop("k"))
    assert heard == [drop("k")]


def test_all_hear_one_order(hub):
    """However many publish at once."""
    members = [member(hub) for _ in range(3)]

    def publish(name):
        bus = LocalBus(hub)
        for number in range(200):
            bus.publish(drop(f"{name}{number}"))

    threads = [threading.Thread(target=publish, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    heard = [[message.keys[0] for message in messages] for _, messages in members]
    assert heard[0] == heard[1] == heard[2]
    assert len(heard[0]) == 800
    for name in "abcd":
        assert [key for key in heard[0] if key[0] == name] == [f"{name}{number}" for number in range(200)]


def test_a_message_of_another_thread_is_delivered_before_its_publish_returns(hub):
    """Also when a handler is busy with an earlier one."""
    is_busy, may_go_on = threading.Event(), threading.Event()

    def wait(message):
        if message == drop("slow"):
            is_busy.set()
            may_go_on.wait(10)

    _, heard = member(hub, wait)
    slow = threading.Thread(target=lambda: LocalBus(hub).publish(drop("slow")))
    slow.start()
    assert is_busy.wait(10)
    seen_by_second = []

    def publish_second():
        LocalBus(hub).publish(drop("second"))
        seen_by_second.extend(heard)

    second = threading.Thread(target=publish_second)
    second.start()
    assert seen_by_second == []
    may_go_on.set()
    slow.join(10)
    second.join(10)
    assert seen_by_second == [drop("slow"), drop("second")]


def test_a_handler_may_publish(hub):
    """What it announces comes after what it was told."""
    answers = LocalBus(hub)

    def answer(message):
        if message == drop("question"):
            answers.publish(drop("answer"))

    member(hub, answer)
    _, heard = member(hub)
    LocalBus(hub).publish(drop("question"))
    assert heard == [drop("question"), drop("answer")]


def test_a_handler_that_fails_has_a_gap_and_holds_nobody_up(hub):
    """What was half forgotten is forgotten as a whole; the others hear what they should."""

    def fail(message):
        if message.kind is MessageKind.DROP:
            raise ValueError("no")

    failing, heard_by_failing = member(hub, fail)
    _, heard = member(hub)
    LocalBus(hub).publish(drop("k"))
    assert heard_by_failing == [Message(MessageKind.GAP)]
    assert heard == [drop("k")]
    assert failing.trusted_until == math.inf
    assert failing._recorder.kinds == [EventKind.BUS_GAP]


def test_a_handler_that_cannot_forget_is_not_trusted(hub):
    """It said so itself."""

    def fail(message):
        raise ValueError("no")

    failing, _ = member(hub, fail)
    LocalBus(hub).publish(drop("k"))
    assert failing.trusted_until == -math.inf
    assert failing._recorder.kinds == [EventKind.BUS_GAP, EventKind.BUS_LOST]


def test_a_courier_that_is_killed_loses_nothing(hub):
    """The next one delivers what it had not."""
    fatal = [KeyboardInterrupt()]

    def interrupt(message):
        if fatal:
            raise fatal.pop()

    member(hub, interrupt)
    _, heard = member(hub)
    with pytest.raises(KeyboardInterrupt):
        LocalBus(hub).publish(drop("first"))
    assert heard == []
    LocalBus(hub).publish(drop("second"))
    assert heard == [drop("first"), drop("second")]
