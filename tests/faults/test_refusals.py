"""A server answers, and refuses, under load: reads go on, and what could not be done is made up for."""

import socket

import pytest

from tests.faults.server_rig import Fault, Rig, parameters, suffer
from tests.faults.stock_readers import store_values

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

HOST = "cache.test"
NOBODY = ("127.0.0.1", 1)
PAUSE = 0.1


def fill_memory(rig):
    """Let it take no writes, since it may hold no more."""
    rig.ask("CONFIG", "SET", "maxmemory", "1mb")


def empty_memory(rig):
    """Let it hold more."""
    rig.ask("CONFIG", "SET", "maxmemory", "0")


def demote(rig):
    """Let it be the replica of a server that is not there."""
    rig.ask("REPLICAOF", *NOBODY)


def promote(rig):
    """Let it be a primary again."""
    rig.ask("REPLICAOF", "NO", "ONE")


def give_login(rig):
    """Let all log in as a user of their own."""
    rig.ask("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all")
    rig.urls = [url.replace("redis://", "redis://app:secret@") for url in rig.urls]


def change_password(rig):
    """Let the login be another one, and end the connections of those who have used it."""
    rig.ask("ACL", "SETUSER", "app", "resetpass", ">other")
    rig.ask("CLIENT", "KILL", "USER", "app")


def restore_password(rig):
    """Let the login be what it was."""
    rig.ask("ACL", "SETUSER", "app", ">secret")


def forbid_scripts(rig):
    """Let the user run no scripts."""
    rig.ask("ACL", "SETUSER", "app", "-@scripting")


def permit_scripts(rig):
    """Let the user run scripts again."""
    rig.ask("ACL", "SETUSER", "app", "+@scripting")


def forget_scripts(rig):
    """Let it forget all scripts, again and again."""
    admin = rig.stack.enter_context(rig.admin())
    rig.again_and_again(admin.script_flush, PAUSE)


class Resolver:
    """Resolves one name as a test likes, in place of the system.

    Args:
        port: Where the name leads at first.
        resolve: What resolves all other names.
    """

    def __init__(self, port, resolve):
        self.port = port
        self._resolve = resolve

    def __call__(self, host, port, *arguments, **options):
        """Do what `socket.getaddrinfo` does."""
        if host != HOST:
            return self._resolve(host, port, *arguments, **options)
        if self.port is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", self.port))]


def give_name(rig):
    """Let all reach it by a name."""
    rig.resolver = Resolver(rig.server.port, socket.getaddrinfo)
    patch = rig.stack.enter_context(pytest.MonkeyPatch.context())
    patch.setattr(socket, "getaddrinfo", rig.resolver)
    rig.urls = [url.replace("127.0.0.1", HOST) for url in rig.urls]


def lose_name(rig):
    """Let the name be unknown, and the server gone."""
    rig.resolver.port = None
    rig.server.kill()


def move_name(rig):
    """Let the name lead to another server, which has the stock client's values."""
    other = rig.new_server()
    rig.server = other
    with rig.admin() as admin:
        store_values(admin)
    rig.resolver.port = other.port


FAULTS = [
    Fault("23", "memory full", fill_memory, empty_memory, in_short_runs=True),
    Fault("25", "a replica", demote, promote, in_short_runs=True),
    Fault("30", "password changed", change_password, restore_password, prepare=give_login, is_proxied=True),
    Fault("31", "no scripts", forbid_scripts, permit_scripts, prepare=give_login, in_short_runs=True),
    Fault("32", "scripts forgotten", forget_scripts, Rig.heal, in_short_runs=True),
    Fault("35", "name unknown, then moved", lose_name, move_name, prepare=give_name, in_short_runs=True),
]


def loads_of_scripts(rig):
    """Return how often a script was loaded."""
    return rig.ask("INFO", "commandstats").get("cmdstat_script|load", {}).get("calls", 0)


@pytest.mark.parametrize("fault", parameters(FAULTS))
def test_reads_and_invalidations_go_on(new_rig, figure, is_long, fault):
    """Through the fault and its end."""
    rig = new_rig(fault)
    loaded = loads_of_scripts(rig)
    suffered = suffer(rig, figure, is_long)
    if fault.scenario == "31":
        told = [
            each for at, each in rig.notes.events if at > suffered.harmed and "NOPERM" in str(each.detail)
        ]
        figure(
            "31", "events that say what is not permitted", len(told), "events", ">= 1", kinds=str(told[:2])
        )
    if fault.scenario == "32":
        again = (loads_of_scripts(rig) - loaded) / (rig.seconds / PAUSE)
        figure("32", "scripts loaded after each time", again, "scripts", seconds=rig.seconds)
