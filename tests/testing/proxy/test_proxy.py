"""Promises of the proxy, at the ends of plain sockets."""

import os
import socket
import threading
import time

import pytest

from greencache.testing import TcpProxy, wait_until
from greencache.testing.proxy import FIN, RST, Cut

from .conftest import is_silent, receive


def test_bytes_pass_both_ways_and_are_counted(ends):
    """Without faults it is a wire."""
    client, server = ends.pair()
    data = os.urandom(3_000_000)
    threading.Thread(target=client.sendall, args=(data,), daemon=True).start()
    assert receive(server, len(data)) == data
    server.sendall(b"reply")
    assert receive(client, 5) == b"reply"
    assert (ends.proxy.requests.passed, ends.proxy.replies.passed) == (len(data), 5)
    assert (ends.proxy.accepted, ends.proxy.open) == (1, 1)


def test_the_end_of_a_stream_passes(ends):
    """A client that has said all still hears the answer, and then the end."""
    client, server = ends.pair()
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert receive(server, 100) == b"last words"
    server.sendall(b"answer")
    server.close()
    assert receive(client, 100) == b"answer"
    wait_until(lambda: ends.proxy.open == 0, reason="the connection has ended")


def test_a_reset_passes(ends):
    """What happens to one end happens to the other."""
    client, server = ends.pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.close()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_target_that_refuses_resets_the_client(ends):
    """The proxy accepts before it knows."""
    ends.listener.close()
    with pytest.raises(ConnectionResetError):
        ends.dial().recv(1)


def test_the_target_can_move(ends):
    """Open connections stay where they are, new ones go to the new server under the old address."""
    client, server = ends.pair()
    other = ends.new_listener()
    ends.proxy.target = other.getsockname()
    newer, moved = ends.pair(other)
    for near, far in ((client, server), (newer, moved)):
        near.sendall(b"x")
        assert far.recv(1) == b"x"


def test_latency_is_added_to_one_direction(ends):
    """A late piece comes late, and the other direction does not wait."""
    client, server = ends.pair()
    ends.proxy.replies.latency = 0.2
    client.sendall(b"ask")
    assert receive(server, 3) == b"ask"
    began = time.monotonic()
    server.sendall(b"say")
    assert receive(client, 3) == b"say"
    assert time.monotonic() - began >= 0.2


def test_what_is_late_goes_when_the_latency_changes(ends):
    """Nobody waits an hour for a test to go on."""
    client, server = ends.pair()
    ends.proxy.requests.latency = 3600.0
    client.sendall(b"late")
    assert is_silent(server)
    ends.proxy.requests.latency = 0.0
    assert receive(server, 4) == b"late"


def test_latency_can_be_chosen_for_each_piece(ends):
    """One reply in a hundred is late."""
    client, server = ends.pair()
    delays = iter([0.0, 3600.0])
    ends.proxy.replies.latency = lambda: next(delays)
    server.sendall(b"a")
    assert client.recv(1) == b"a"
    server.sendall(b"b")
    assert is_silent(client)


def test_a_drip_passes_some_bytes_a_second(ends):
    """Each byte comes in time for a time-out that is set anew for each; the whole is late."""
    client, server = ends.pair()
    ends.proxy.replies.rate = 50
    began = time.monotonic()
    server.sendall(b"0123456789A")
    assert receive(client, 11) == b"0123456789A"
    assert time.monotonic() - began >= 10 / 50


def test_chunks_are_passed_one_at_a_time(ends):
    """All bytes come, in their order."""
    client, server = ends.pair()
    ends.proxy.replies.chunk_size = 1
    data = os.urandom(3000)
    server.sendall(data)
    assert receive(client, len(data)) == data


def test_glue_makes_one_piece_of_many(ends):
    """What comes within the time is passed on at once."""
    client, server = ends.pair()
    ends.proxy.replies.glue = 0.3
    for number in range(5):
        server.sendall(b"%d" % number)
        time.sleep(0.01)  # separate packets
    assert client.recv(100) == b"01234"


def test_a_black_hole_swallows_what_is_open_and_what_is_new(ends):
    """Connections are accepted and stay silent; their end does not pass either."""
    client, server = ends.pair()
    ends.proxy.black_hole = True
    newcomer = ends.dial()
    newcomer.sendall(b"hello?")
    client.sendall(b"request")
    server.sendall(b"reply")
    client.close()
    assert is_silent(server)
    assert is_silent(newcomer)
    ends.listener.settimeout(0.1)
    with pytest.raises(TimeoutError):
        ends.listener.accept()


def test_what_a_black_hole_held_passes_when_it_is_gone(ends):
    """As TCP does after a partition: late, whole and in order."""
    client, server = ends.pair()
    ends.proxy.black_hole = True
    client.sendall(b"request")
    server.sendall(b"reply")
    newcomer = ends.dial()
    newcomer.sendall(b"hello?")
    ends.proxy.black_hole = False
    assert receive(server, 7) == b"request"
    assert receive(client, 5) == b"reply"
    accepted, _ = ends.listener.accept()
    with accepted:
        assert receive(accepted, 6) == b"hello?"


@pytest.mark.parametrize("size", range(6))
@pytest.mark.parametrize("by", [FIN, RST])
def test_a_connection_is_cut_after_some_bytes(ends, size, by):
    """Half a reply, counted from now on, then the end; the next connection lives."""
    client, server = ends.pair()
    server.sendall(b"before")
    assert receive(client, 6) == b"before"
    ends.proxy.replies.cut = Cut(size, by)
    server.sendall(b"$-1\r\n")
    assert receive(client, size) == b"$-1\r\n"[:size]
    if by == FIN:
        assert client.recv(1) == b""
    else:
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    client, server = ends.pair()
    server.sendall(b"$-1\r\n")
    assert receive(client, 5) == b"$-1\r\n"


def test_a_cut_can_be_repeated(ends):
    """For some connections, or for all."""
    for times, expected in ((2, [b"ab", b"ab", b"abc"]), (None, [b"ab"] * 3)):
        ends.proxy.replies.cut = Cut(2, FIN, times=times)
        came = []
        for _ in range(3):
            client, server = ends.pair()
            server.sendall(b"abc")
            came.append(receive(client, 3))
        assert came == expected


def test_connections_can_be_reset_as_soon_as_they_are_made(ends):
    """They count as accepted; the server never sees them."""
    ends.proxy.resets = True
    with pytest.raises(ConnectionResetError):
        ends.dial().recv(1)
    assert (ends.proxy.accepted, ends.proxy.open) == (1, 0)
    ends.proxy.resets = False
    ends.pair()


def test_a_proxy_can_refuse_for_a_while(ends):
    """Nobody listens, what is open goes on, and then somebody listens on the same port again."""
    client, server = ends.pair()
    for _ in range(3):
        ends.proxy.refuses = True
        with pytest.raises(ConnectionRefusedError):
            ends.dial()
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        ends.proxy.refuses = False
        ends.pair()


@pytest.mark.parametrize("by", [FIN, RST])
def test_open_connections_can_be_dropped(ends, by):
    """At both ends, and when drop() returns they are gone."""
    pairs = [ends.pair() for _ in range(3)]
    assert ends.proxy.drop(by) == 3
    assert ends.proxy.open == 0
    for connection in [end for pair in pairs for end in pair]:
        if by == FIN:
            assert connection.recv(1) == b""
        else:
            with pytest.raises(ConnectionResetError):
                connection.recv(1)


def test_replies_can_be_rewritten(ends):
    """Garbage instead of a reply, and nothing at all."""
    client, server = ends.pair()
    ends.proxy.replies.rewrite = lambda data: b"garbage" if data == b"+OK\r\n" else b""
    server.sendall(b"+OK\r\n")
    assert receive(client, 7) == b"garbage"
    server.sendall(b"+PONG\r\n")
    assert is_silent(client)


def test_whole_messages_can_be_rewritten(ends):
    """However they come: here in two pieces, with the half of a third that is passed once nobody rewrites."""
    client, server = ends.pair()
    ends.proxy.replies.framed = True
    ends.proxy.replies.rewrite = lambda frame: frame * 2
    server.sendall(b":1\r\n:2")
    server.sendall(b"2\r\n:3")
    assert receive(client, 18) == b":1\r\n:1\r\n:22\r\n:22\r\n"
    ends.proxy.replies.heal()
    server.sendall(b"3\r\n")
    assert receive(client, 5) == b":33\r\n"


def test_a_rewriter_may_drop_connections(ends):
    """A fault in the very moment of a reply: the link that asks does not wait for itself."""
    client, server = ends.pair()
    ends.pair()
    ends.proxy.replies.rewrite = lambda data: data * ends.proxy.drop(FIN)
    server.sendall(b"x")
    assert client.recv(1) == b""


def test_healing_ends_all_faults(ends):
    """One call, whatever was set."""
    client, server = ends.pair()
    proxy = ends.proxy
    proxy.refuses = proxy.resets = proxy.black_hole = True
    for traffic in (proxy.requests, proxy.replies):
        traffic.latency = traffic.glue = 3600.0
        traffic.rate, traffic.chunk_size, traffic.cut = 0.001, 1, Cut(0)
        traffic.rewrite = lambda _: b""
    proxy.heal()
    client.sendall(b"request")
    assert receive(server, 7) == b"request"
    ends.pair()


def test_a_misspelt_fault_is_refused(ends):
    """A fault that is not there would be a test that tests nothing."""
    with pytest.raises(AttributeError, match="no fault 'latncy'; expected one of latency, glue"):
        ends.proxy.replies.latncy = 1.0
    with pytest.raises(ValueError, match="expected a rate above zero, got 0"):
        ends.proxy.replies.rate = 0
    assert ends.proxy.replies.rate == float("inf")


@pytest.mark.parametrize("fault", [{"latency": 3600.0}, {"rate": 0.001}, {"stalled": True}])
def test_closing_waits_for_no_fault(ends, fault):
    """Whatever is late or held is dropped, and the port is free."""
    _, server = ends.pair()
    for name, value in fault.items():
        setattr(ends.proxy.replies, name, value)
    server.sendall(b"reply")
    threads = [each for each in threading.enumerate() if each.name.startswith(f"proxy-{ends.proxy.port}")]
    assert len(threads) == 2
    ends.proxy.close()
    assert not any(each.is_alive() for each in threads)
    with pytest.raises(ConnectionRefusedError):
        ends.dial()


def test_a_sender_of_too_much_is_held_back(ends):
    """A proxy that passes nothing does not keep all that is sent to it."""
    client, _ = ends.pair()
    ends.proxy.black_hole = True
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.sendall(bytes(50_000_000))


def test_a_forked_child_does_not_keep_connections_open(ends):
    """What the parent ends, ends, though a child has copies of the sockets."""
    client, _ = ends.pair()
    asleep, awake = os.pipe()
    if (child := os.fork()) == 0:
        os.read(asleep, 1)
        os._exit(0)
    try:
        ends.proxy.drop(FIN)
        assert client.recv(1) == b""
    finally:
        os.write(awake, b"x")
        os.waitpid(child, 0)
        os.close(asleep)
        os.close(awake)


def test_a_url_can_lead_through_it(ends):
    """User, password, database and options stay."""
    with TcpProxy(ends.listener.getsockname()) as proxy:
        through = proxy.url_for("redis://me:p%40ss@10.0.0.1:6379/3?protocol=3")
        assert through == f"redis://me:p%40ss@127.0.0.1:{proxy.port}/3?protocol=3"
