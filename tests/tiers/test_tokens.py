"""What leases are made of."""

import os
import socket
import warnings

import pytest

from greencache.tiers.tokens import _host, new_batch


def test_a_token_says_who_holds_it():
    """Host and process, and then what no other call has."""
    host, pid, rest = new_batch().split(":")
    assert host == _host()
    assert int(pid) == os.getpid()
    assert len(rest) == 24


def test_no_two_calls_have_the_same():
    """Also not in one process."""
    assert len({new_batch() for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("web-1.example.org", "web-1.example.org"),
        ("a:b c{d}\n", "a-b-c-d--"),
        ("räksmörgås", "r-ksm-rg-s"),
        ("x" * 200, "x" * 64),
        ("", ""),
    ],
)
def test_a_host_of_any_name_can_be_told_from_the_rest(monkeypatch, name, shown):
    """Nothing in it could be taken for the end of the name, or makes a token long."""
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    _host.cache_clear()
    try:
        assert new_batch().split(":")[:2] == [shown, str(os.getpid())]
    finally:
        _host.cache_clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_tokens_of_its_own():
    """Though it has a copy of all that its parent had."""
    ours = new_batch()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.write(writing, new_batch().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 200).decode()
    os.close(reading)
    os.close(writing)
    assert theirs.split(":")[1] == str(child)
    assert theirs.split(":")[2] != ours.split(":")[2]
