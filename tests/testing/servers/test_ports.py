"""Promises of the choice of ports."""

import socket

import pytest

from greencache.testing.servers import ServerStartError, ports


def test_a_free_port_is_free_and_below_those_of_outgoing_connections():
    """A client that retries while its server is down must not be given the server's port."""
    for _ in range(50):
        port = ports.free_port()
        assert ports._LOWEST <= port < ports._first_ephemeral_port()
        with socket.create_server((ports.LOOPBACK, port)):
            assert not ports._is_free(port)


@pytest.mark.parametrize(
    ("text", "first"), [("40000\t60999\n", 40_000), ("1024 65535", 32_768), ("", 32_768), (None, 32_768)]
)
def test_the_range_of_outgoing_connections_is_asked_of_the_kernel(tmp_path, monkeypatch, text, first):
    """Where there is no answer, or hardly a port left below, Linux's default counts."""
    monkeypatch.setattr(ports, "_EPHEMERAL_RANGE", tmp_path / "range")
    if text is not None:
        (tmp_path / "range").write_text(text)
    assert ports._first_ephemeral_port() == first


def test_no_free_port_at_all_is_an_error(monkeypatch):
    """The search ends."""
    monkeypatch.setattr(ports, "_is_free", lambda _: False)
    with pytest.raises(ServerStartError, match="found none"):
        ports.free_port()
