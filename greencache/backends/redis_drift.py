"""Where running servers differ from their settings, and what of that can be changed while they run."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any

from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_connection import GuardedConnection
from greencache.backends.redis_deployment import Deployment, Topology
from greencache.backends.redis_errors import FOREIGN_ERRORS, explain_failure, explain_reply
from greencache.backends.redis_protocol import pack
from greencache.backends.redis_report import AppliedSetting, Drift, RedisHealth, SettingOutcome
from greencache.backends.redis_settings import NodeSettings
from greencache.errors import GreencacheError, TierUnavailableError
from greencache.typing import Seconds

__all__ = ["SettingsCheck", "is_same_setting"]

_PATIENCE: Seconds = 1.0
"""For one server, so that one that hangs does not use up the time of the others."""
_UNITS = {"": 1, "b": 1, "k": 1_000, "kb": 1 << 10, "m": 10**6, "mb": 1 << 20, "g": 10**9, "gb": 1 << 30}
_SIZE = re.compile(r"([0-9]+)([a-z]{0,2})", re.ASCII)


class SettingsCheck:
    """Compares servers, and their replicas, with what is expected of them.

    Each is asked on a connection of its own: a user who may not read settings is refused at each check, and
    after a refusal the connections of a pool are made anew.

    Args:
        deployment: Where the servers are.
        settings: How to talk to them, and what is expected of each.
    """

    def __init__(self, deployment: Deployment, settings: NodeSettings) -> None:
        self._deployment = deployment
        self._settings = settings
        self._expected = settings.expected
        self._now = settings.clock.now

    def complete(self, health: RedisHealth, address: RedisAddress, end: Seconds) -> RedisHealth:
        """Return the health of a server with what differs there and at its replicas; raises nothing.

        Args:
            health: What is known of it.
            address: The server.
            end: A reading of the clock by which it must be done.
        """
        if not (health.up and self._expected):
            return health
        drift: list[Drift] = []
        errors: list[str] = []
        for each in (address, *self._replicas(health)):
            try:
                drift += self._compare(each, end)
            except GreencacheError as error:
                errors.append(str(error))
        return dataclasses.replace(health, drift=tuple(drift), settings_error="; ".join(errors))

    def apply(self, health: RedisHealth) -> Iterable[AppliedSetting]:
        """Change what differs, as far as that can be done while the servers run.

        Args:
            health: What was found.

        Raises:
            TierUnavailableError: A server could not be asked.
        """
        if health.settings_error or not health.up:
            raise TierUnavailableError(health.settings_error or health.error or "Redis cannot be reached")
        by_server: dict[str, list[Drift]] = {}
        for drift in health.drift:
            by_server.setdefault(drift.server, []).append(drift)
        for server, drifts in by_server.items():
            yield from self._change(self._address(server), drifts)

    def _replicas(self, health: RedisHealth) -> list[RedisAddress]:
        """Return the replicas, where clients can reach them by what their primary calls them."""
        if self._deployment.topology is Topology.STANDALONE:
            return []
        # Those whose port is told; one that is just coming up has none yet.
        return [self._address(each.server) for each in health.replicas if each.server[-1:].isdigit()]

    def _address(self, server: str) -> RedisAddress:
        if self._deployment.topology is Topology.STANDALONE:
            return self._deployment.member
        host, _, port = server.rpartition(":")
        return self._deployment.address_of(host, int(port))

    def _compare(self, address: RedisAddress, end: Seconds) -> list[Drift]:
        questions = [("CONFIG", "GET", name) for name in self._expected]
        replies = self._ask(address, questions, min(end, self._now() + _PATIENCE))
        for reply in replies:
            if isinstance(reply, Exception):
                raise explain_reply(address, reply, may_have_run=False)
        found = dict(zip(self._expected, map(_value, replies), strict=True))
        return [
            Drift(_place(address), name, expected, found[name])
            for name, expected in self._expected.items()
            if not is_same_setting(expected, found[name])
        ]

    def _change(self, address: RedisAddress, drifts: Sequence[Drift]) -> Iterable[AppliedSetting]:
        end = self._now() + self._settings.timeout
        known = [drift for drift in drifts if drift.found is not None]
        commands = [("CONFIG", "SET", drift.setting, drift.expected) for drift in known]
        replies = dict(zip(known, self._ask(address, commands, end) if known else (), strict=True))
        for drift in drifts:
            if drift.found is None:
                yield AppliedSetting(drift, SettingOutcome.UNKNOWN)
            else:
                yield _applied(drift, replies[drift], address)

    def _ask(self, address: RedisAddress, commands: Sequence[Sequence[str]], end: Seconds) -> list[Any]:
        connection: GuardedConnection = self._settings.connection(address)
        packed = b"".join(map(pack, commands))
        try:
            return connection.exchange(packed, len(commands), end)
        except FOREIGN_ERRORS as error:
            fault = explain_failure(address, error, may_have_run=False)
        finally:
            connection.abandon()
        # Outside of the handler: the frames of redis-py have passwords among their variables.
        raise fault


def is_same_setting(expected: str, found: str | None) -> bool:
    """Return whether two spellings of a value mean the same: sizes may have units, and flags capitals."""
    if found is None:
        return False
    first, second = expected.strip().casefold(), found.strip().casefold()
    return first == second or _size(first) == _size(second) is not None


def _size(text: str) -> int | None:
    match = _SIZE.fullmatch(text)
    unit = _UNITS.get(match[2]) if match else None
    return None if match is None or unit is None else int(match[1]) * unit


def _place(address: RedisAddress) -> str:
    return address.path or f"{address.host}:{address.port}"


def _value(reply: Any) -> str | None:
    """Return the value in an answer to CONFIG GET of one name; `None` if there is none."""
    return reply[1].decode(errors="replace") if isinstance(reply, list) and len(reply) > 1 else None


def _applied(drift: Drift, reply: Any, address: RedisAddress) -> AppliedSetting:
    if not isinstance(reply, Exception):
        return AppliedSetting(drift, SettingOutcome.SET)
    # A setting that was found, but cannot be changed, is called unsupported before Redis 7.
    said = str(reply).casefold()
    if "immutable" in said or "unsupported config" in said:
        return AppliedSetting(drift, SettingOutcome.NEEDS_RESTART)
    reason = str(explain_reply(address, reply, may_have_run=False))
    return AppliedSetting(drift, SettingOutcome.REFUSED, reason)
