"""Who listens, what is handed over, and what is left when something fails."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import psycopg
import pytest

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_outbox import START, Outbox, Position
from greencache.clock import SystemClock
from greencache.events import EventKind
from greencache.outbox.base import Change
from greencache.outbox.listener import OutboxListener
from greencache.outbox.reader import OutboxReader
from greencache.testing import TcpProxy, wait_until
from tests.outbox.conftest import NAMESPACE

INVALIDATE = "select greencache.invalidate(%s, %s)"


class Sink:
    """A cache that notes what it is told; it can be made to fail, or to reach only some of its tiers."""

    def __init__(self):
        self.changes = []
        self.is_settled = True
        self.error = None

    def apply(self, change):
        """Note a change."""
        if self.error is not None:
            raise self.error
        self.changes.append(change)
        return self.is_settled

    @property
    def keys(self):
        """All keys so far."""
        return [key for change in list(self.changes) for key in change.keys]


class Events:
    """Keeps the kinds of events."""

    def __init__(self):
        self.kinds = []

    def record(self, event):
        """Keep one."""
        self.kinds.append(event.kind)


@pytest.fixture
def new_listener(postgres_url, watcher):
    """Start listeners, each with a manager and a sink of its own, as processes have."""
    with contextlib.ExitStack() as stack:

        def start(url=postgres_url, **options):
            manager = PostgresManager(url, timeout=5)
            stack.callback(manager.close)
            settings = {"namespace": NAMESPACE, "poll_interval": 0.1} | options
            listener = OutboxListener(manager, clock=SystemClock(), recorder=Events(), **settings)
            stack.callback(listener.close)
            listener.sink = Sink()
            listener.events = listener._recorder.kinds
            listener.start(listener.sink)
            return listener

        yield start


@pytest.fixture
def invalidate(database):
    """Write keys into the outbox."""
    return lambda *keys, namespace=NAMESPACE: database.execute(INVALIDATE, [namespace, list(keys)])


def await_role(listener, role):
    """Wait until a listener has a role."""
    wait_until(lambda: listener.state()["role"] == role, reason=f"it is {role}")


def leader_of(*listeners):
    """Wait until one of some listeners leads, and return it first, then the others."""
    wait_until(lambda: any(each.state()["role"] == "leader" for each in listeners), reason="one leads")
    return sorted(listeners, key=lambda each: each.state()["role"] != "leader")


def test_what_is_committed_is_handed_over_and_deleted(new_listener, factors, database, outbox):
    """By any program: this is an ordinary connection."""
    listener = new_listener()
    await_role(listener, "leader")
    database.execute("update factors set amount = 9")
    wait_until(lambda: len(listener.sink.keys) == 2, reason="it is handed over")
    [change] = listener.sink.changes
    assert sorted(change.keys) == ["factor:DE:co2", "factor:FR:co2"]
    assert sorted(change.tags) == ["region:DE", "region:FR"]
    wait_until(lambda: outbox.rows() == 0, reason="it is deleted")
    assert listener.state()["read"] == 1


def test_what_was_written_while_nobody_listened_is_not_lost(new_listener, invalidate, database, outbox):
    """Everything and patterns too; names that no cache can hold are passed over; other namespaces stay."""
    invalidate("a", "b")
    invalidate("b", "c")
    invalidate("x", namespace="other")
    database.execute("select greencache.invalidate('shop', patterns => array['u:*', repeat('*a', 20)])")
    database.execute("select greencache.invalidate('shop', tags => array['t'])")
    listener = new_listener()
    wait_until(lambda: listener.sink.changes, reason="it is handed over")
    assert listener.sink.changes == [Change(keys=("a", "b", "c"), tags=("t",), patterns=("u:*",))]
    invalidate("d")
    database.execute("select greencache.invalidate('shop', everything => true)")
    wait_until(lambda: listener.sink.changes[-1].is_everything, reason="it is handed over")
    wait_until(lambda: outbox.rows() == 1, reason="it is deleted")


def test_one_of_a_fleet_leads_and_another_takes_over(new_listener, invalidate, factors):
    """At once when it is closed; nothing is handed over by both."""
    leader, *others = leader_of(new_listener(), new_listener(), new_listener())
    invalidate("a")
    wait_until(lambda: leader.sink.keys == ["a"], reason="it is handed over")
    leader.close()
    invalidate("b")
    successor, other = leader_of(*others)
    wait_until(lambda: successor.sink.keys == ["b"], reason="it is handed over")
    assert leader.sink.keys == ["a"]
    assert other.sink.keys == []


def test_a_leader_whose_connection_is_ended_comes_back(new_listener, invalidate, database, factors):
    """And misses nothing of what was written meanwhile."""
    listener = new_listener()
    await_role(listener, "leader")
    for number in range(5):
        ended = (
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'greencache%'"
        )
        database.execute(ended)
        invalidate(f"k{number}")
        wait_until(lambda number=number: f"k{number}" in listener.sink.keys, reason="it is handed over")
    assert EventKind.OUTBOX_LOST in listener.events
    wait_until(lambda: listener.events[-1] is EventKind.OUTBOX_BACK, reason="it is told")


def test_a_tier_out_of_reach_keeps_the_rows_until_it_has_been_told(new_listener, invalidate, outbox, factors):
    """What is queued in this process would die with it; later changes are handed over all the same."""
    listener = new_listener()
    await_role(listener, "leader")
    listener.sink.is_settled = False
    invalidate("a")
    wait_until(lambda: listener.sink.keys == ["a"], reason="it is handed over")
    invalidate("b")
    wait_until(lambda: listener.sink.keys == ["a", "b"], reason="it is handed over")
    assert outbox.rows() == 2
    assert listener.state()["owes"]
    assert listener.state()["lag"] > 0
    successor = new_listener()
    listener.close()
    wait_until(lambda: successor.sink.keys == ["a", "b"], reason="the next leader has read them too")
    wait_until(lambda: outbox.rows() == 0, reason="they are deleted")


def test_rows_are_deleted_when_the_tiers_have_caught_up(new_listener, invalidate, outbox, factors):
    """They are handed over once more first, since it is not known which had arrived."""
    listener = new_listener()
    await_role(listener, "leader")
    listener.sink.is_settled = False
    invalidate("a")
    wait_until(lambda: listener.sink.keys == ["a"], reason="it is handed over")
    listener.sink.is_settled = True
    wait_until(lambda: outbox.rows() == 0, reason="it is deleted")
    assert listener.sink.keys == ["a", "a"]


def test_what_the_cache_could_not_do_is_done_again(new_listener, invalidate, outbox, factors):
    """Whatever it raised."""
    listener = new_listener()
    await_role(listener, "leader")
    listener.sink.error = RuntimeError("no")
    invalidate("a")
    await_role(listener, "lost")
    assert outbox.rows() == 1
    listener.sink.error = None
    wait_until(lambda: listener.sink.keys == ["a"], reason="it is handed over")


def test_nobody_connects_where_nothing_is_watched(new_listener, invalidate, database):
    """Until something is written by hand."""
    listener = new_listener()
    await_role(listener, "idle")
    query = "select count(*) from pg_stat_activity where application_name = 'greencache listener'"
    assert database.execute(query).fetchone() == (0,)
    invalidate("a")
    wait_until(lambda: listener.sink.keys == ["a"], reason="it is handed over")


def test_a_listener_closes_promptly_and_for_good(new_listener, factors):
    """In the middle of a long wait; started again, it stays closed."""
    listener = new_listener(poll_interval=60.0)
    await_role(listener, "leader")
    started = time.monotonic()
    listener.close()
    listener.close()
    assert time.monotonic() - started < 5
    assert not listener._daemon.thread.is_alive()
    listener.start(listener.sink)
    assert listener.state()["role"] == "off"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_keep_the_lock(new_listener, invalidate, factors):
    """A child that outlives its parent would else hold the parent's connection open, and the lock with it."""
    listener = new_listener()
    await_role(listener, "leader")
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.read(read, 1)
        finally:
            os._exit(0)
    try:
        # The parent's connection still works, and when it ends, the lock is free.
        invalidate("a")
        wait_until(lambda: listener.sink.keys == ["a"], reason="it is handed over")
        successor = new_listener()
        listener.close()
        await_role(successor, "leader")
    finally:
        os.write(write, b"x")
        os.waitpid(pid, 0)
        os.close(read)
        os.close(write)


def test_behind_a_pooler_each_look_is_a_transaction(new_listener, invalidate, factors):
    """No lock outlives it, and no LISTEN is believed; one process at a time reads."""
    listeners = [new_listener(), new_listener()]
    for listener in listeners:
        listener._is_pooled = True
    for number in range(10):
        invalidate(f"k{number}")
    wait_until(lambda: sum(len(each.sink.keys) for each in listeners) == 10, reason="all is handed over")


def test_a_hung_leader_is_replaced(new_listener, invalidate, database, factors, monkeypatch):
    """One that holds the lock and says nothing, as a stopped process does."""
    monkeypatch.setattr("greencache.outbox.listener._HUNG_AFTER", 0.5)
    database.execute(
        "select pg_advisory_lock(hashtextextended('greencache outbox of greencache ' || %s, 0))", [NAMESPACE]
    )
    with psycopg.connect(database.info.dsn, password=database.info.password, autocommit=True) as writer:
        writer.execute(INVALIDATE, [NAMESPACE, ["a"]])
    listener = new_listener()
    wait_until(lambda: listener.sink.keys == ["a"], reason="it is handed over")
    with pytest.raises(psycopg.OperationalError):
        database.execute("select 1")


def test_a_leader_whose_link_went_silent_is_replaced(
    postgres_url, new_listener, invalidate, factors, monkeypatch
):
    """The server sees a connection that is alive and idle. Nothing is lost, and who was cut off follows."""
    monkeypatch.setattr("greencache.outbox.listener._HUNG_AFTER", 0.5)
    place = urllib.parse.urlsplit(postgres_url)
    with TcpProxy((place.hostname, place.port)) as proxy:
        cut_off = new_listener(proxy.url_for(postgres_url))
        await_role(cut_off, "leader")
        other = new_listener()
        await_role(other, "follower")
        proxy.black_hole = True
        invalidate("a")
        wait_until(lambda: other.sink.keys == ["a"], deadline=30, reason="the other one has taken over")
        proxy.heal()
        wait_until(lambda: cut_off.state()["role"] == "follower", deadline=30, reason="it is back")
        invalidate("b")
        wait_until(lambda: other.sink.keys == ["a", "b"], reason="the other one leads on")


ORPHAN = """
import os, sys, time
from greencache.backends.postgres import PostgresManager
from greencache.clock import SystemClock
from greencache.events import NullRecorder
from greencache.outbox.listener import OutboxListener

class Sink:
    is_settled = True
    apply = staticmethod(lambda change: True)

manager = PostgresManager(sys.argv[1], timeout=5)
listener = OutboxListener(manager, namespace=sys.argv[2], clock=SystemClock(), recorder=NullRecorder())
listener.start(Sink())
while listener.state()["role"] != "leader":
    time.sleep(0.01)
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(60)
"""


def test_a_child_does_not_keep_the_lock_of_a_parent_that_is_killed(postgres_url, new_listener, factors):
    """A connection ends when the last process that has it closes it, so the child does when it is forked."""
    command = [sys.executable, "-W", "ignore", "-c", ORPHAN, postgres_url, NAMESPACE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        successor = new_listener()
        parent.kill()
        try:
            await_role(successor, "leader")
        finally:
            os.kill(child, signal.SIGKILL)


def test_greenlets_run_while_a_listener_waits(postgres_url, factors):
    """Patched before anything else; in a process of its own."""
    pytest.importorskip("gevent")
    script = pathlib.Path(__file__).with_name("gevent_listener.py")
    command = [sys.executable, str(script), postgres_url, NAMESPACE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "heard\n", done.stderr


# -- the order in which transactions commit ---------------------------------------------------------------


@pytest.fixture
def reading(postgres_url, watcher):
    """An outbox, a reader of it, its sink, and a session."""
    with contextlib.closing(PostgresManager(postgres_url, timeout=5)) as manager:
        outbox, sink = Outbox(manager, NAMESPACE), Sink()
        with contextlib.closing(outbox.open(5)) as session:
            yield outbox, OutboxReader(outbox, sink, SystemClock()), sink, session


def test_overlapping_transactions_are_read_when_they_commit(reading, connect):
    """Not in the order in which they began, and none waits for another, nor for one that never ends."""
    _, reader, sink, session = reading
    forever, early, late, lost = (connect(autocommit=False) for _ in range(4))
    for name, writer in {"forever": forever, "early": early, "late": late, "lost": lost}.items():
        writer.execute(INVALIDATE, [NAMESPACE, [name]])
    for writer, name in ((late, "late"), (early, "early")):
        reader.read(session.session)
        writer.commit()
        reader.read(session.session)
        assert sink.keys[-1] == name
    lost.rollback()
    reader.read(session.session)
    assert sink.keys == ["late", "early"]
    forever.commit()
    reader.read(session.session)
    assert sink.keys == ["late", "early", "forever"]


def test_no_order_of_commits_loses_a_row_or_reads_it_twice(reading, connect):
    """Writers of their own speed, some of which roll back; the rows stay, so only the position counts."""
    outbox, reader, sink, session = reading
    outbox.forget = lambda session, page: None
    written, over = set(), threading.Event()

    def write(number):
        writer = connect(autocommit=False)
        for turn in range(40):
            key = f"{number}-{turn}"
            writer.execute(INVALIDATE, [NAMESPACE, [key]])
            time.sleep((number * 7 + turn * 3) % 5 / 1000)
            if (number + turn) % 4:
                writer.commit()
                written.add(key)
            else:
                writer.rollback()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    threading.Thread(target=lambda: [thread.join() for thread in threads] and over.set()).start()
    while not over.is_set():
        reader.read(session.session)
    reader.read(session.session)
    assert sorted(sink.keys) == sorted(written)


def test_many_rows_are_read_page_by_page(reading, database, outbox):
    """Bounded by rows and by names; also while the rows must stay."""
    _, reader, sink, session = reading
    database.execute(
        "select greencache.invalidate('shop', array[n::text]) from generate_series(1, 2500) as n"
    )
    database.execute(
        "select greencache.invalidate('shop', array(select n::text from generate_series(3000, 33000) as n))"
    )
    sink.is_settled = False
    reader.read(session.session)
    assert len(sink.keys) == len(set(sink.keys)) == 2500 + 30001
    assert max(len(change.keys) for change in sink.changes) <= 11_000
    sink.is_settled = True
    sink.changes.clear()
    reader.read(session.session)
    assert len(sink.keys) == 2500 + 30001
    assert outbox.rows() == 0


def test_what_becomes_visible_between_two_pages_is_read(reading, connect, database):
    """Though its transaction began before those of the first page."""
    _, reader, sink, session = reading
    early = connect(autocommit=False)
    early.execute(INVALIDATE, [NAMESPACE, ["early"]])
    database.execute(
        "select greencache.invalidate('shop', array[n::text]) from generate_series(1, 1500) as n"
    )
    apply = sink.apply

    def commit_and_apply(change):
        early.commit()
        return apply(change)

    sink.apply = commit_and_apply
    reader.read(session.session)
    assert len(sink.changes) == 2
    reader.read(session.session)
    assert sink.keys[-1] == "early"
    assert len(sink.keys) == 1501


def test_a_position_is_a_snapshot(reading, invalidate):
    """A page says from where the next one goes on."""
    outbox, _, _, session = reading
    assert outbox.read(session.session, START).rows == ()
    invalidate("a")
    first = outbox.read(session.session, START)
    invalidate("b")
    assert outbox.read(session.session, Position(first.snapshot)).keys == ("b",)
    assert outbox.read(session.session, START).keys == ("a", "b")


def test_rows_that_nobody_reads_become_one(reading, database, outbox):
    """Of a namespace without caches, so that the table does not grow for ever."""
    store, _, _, session = reading
    for namespace in ("one", "one", "two"):
        database.execute(INVALIDATE, [namespace, ["a"]])
    assert store.collapse(session.session, 3600) == 0
    assert store.collapse(session.session, 0) == 2
    assert store.collapse(session.session, 0) == 0
    assert outbox.take() == {"patterns": ["everything", "everything"]}


class Pooler(threading.Thread):
    """What stands between like PgBouncer: it tells its clients a process number that is not the server's.

    Args:
        port: The server's.
    """

    def __init__(self, port):
        super().__init__(daemon=True)
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def run(self):
        """Serve until the listener is closed."""
        with contextlib.suppress(OSError), self._listener:
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, target):
        with contextlib.suppress(OSError), source:
            while chunk := source.recv(65536):
                # BackendKeyData: 12 bytes, of them four of the process number.
                head, mark, tail = chunk.partition(b"K\0\0\0\x0c")
                target.sendall(head + mark + (b"\0\0\0\1" + tail[4:] if mark else tail))
            target.shutdown(socket.SHUT_RDWR)

    def close(self):
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self.join(10)


def test_a_pooler_is_noticed(postgres_url, watcher, invalidate, factors):
    """Whose LISTEN and locks would be somebody else's soon; the listener polls, and says so."""
    parts = urllib.parse.urlsplit(postgres_url)
    with contextlib.closing(Pooler(parts.port)) as pooler:
        pooler.start()
        url = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{pooler.port}")).geturl()
        with contextlib.closing(PostgresManager(url, timeout=5)) as manager:
            events, sink = Events(), Sink()
            options = {"clock": SystemClock(), "recorder": events, "poll_interval": 0.1}
            with contextlib.closing(OutboxListener(manager, namespace=NAMESPACE, **options)) as listener:
                listener.start(sink)
                invalidate("a")
                wait_until(lambda: sink.keys == ["a"], reason="it is handed over")
                assert listener.state()["is_polling"]
                assert EventKind.FEATURE_MISSING in events.kinds
