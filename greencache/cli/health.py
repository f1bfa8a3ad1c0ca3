"""`greencache health`."""

import dataclasses
import datetime as dt
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from greencache import CacheConfig, CacheManager, CacheTier, GreencacheError, HealthOptions, HealthSample
from greencache.config import parse_duration
from greencache.health import HealthReport, TierReport
from greencache.health.summary import Period, summarize

__all__ = ["health"]

_WIDTH = 110
_NOT_WELL = 1
_COULD_NOT_LOOK = 2


def health(
    *,
    config: Annotated[
        pathlib.Path | None, typer.Option(help="The cache's YAML file; without it, the environment.")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="Which of its profiles.")] = None,
    history: Annotated[
        bool, typer.Option("--history", help="What the running processes have found in the last hour.")
    ] = False,
    step: Annotated[str, typer.Option(help="How long one line of the history is about.")] = "5m",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; of a history, every check.")] = False,
) -> None:
    """Ask every tier how it is, or print what the running processes have found in the last hour.

    The history is read from the deepest Redis, where each process that uses the cache notes what it finds.
    The exit status is 0 if all is well, or was in the whole history, 1 if not, 2 if nobody could be asked.
    """
    # On a narrower terminal a line goes on below; cut off it would say nothing.
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, _WIDTH)
    try:
        settings = CacheConfig.load(config, profile=profile)
        with CacheManager.from_config(settings, health=HealthOptions(interval=0)) as cache:
            if history:
                found = _by_tier(cache.fleet_health_history())
                is_well = _say_history(found, max(1.0, parse_duration(step)), console, as_json=as_json)
            else:
                is_well = _say_report(cache.health_check(), console, as_json=as_json)
    except (GreencacheError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_COULD_NOT_LOOK) from None
    raise typer.Exit(0 if is_well else _NOT_WELL)


_ByTier = Mapping[CacheTier, Mapping[str, Sequence[HealthSample]]]


def _by_tier(found: Mapping[str, Mapping[CacheTier, Sequence[HealthSample]]]) -> _ByTier:
    tiers = sorted({tier for samples in found.values() for tier in samples})
    return {tier: {process: found[process].get(tier, ()) for process in sorted(found)} for tier in tiers}


def _say_report(report: HealthReport, console: Console, *, as_json: bool) -> bool:
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2, ensure_ascii=False, default=str))
        return report.status == "up"
    table = _table(
        "tier", "status", "latency", "hit rate", "memory", "clients", "evicted", "role", "lag", "saved"
    )
    for tier, each in report.tiers.items():
        table.add_row(tier.name, each.status.value, *_facts(each))
    console.print(table)
    for tier, each in report.tiers.items():
        for line in _remarks(each):
            console.print(f"{tier.name}: {line}")
    return report.status == "up"


def _facts(report: TierReport) -> list[str]:
    server = report.server
    if server is None:
        return [_milliseconds(report.latency_ms), *[""] * 7]
    return [
        _milliseconds(report.latency_ms),
        _percent(server.hit_rate),
        _memory(server.used_memory, server.max_memory),
        _number(server.connected_clients),
        _number(server.evicted_keys),
        server.role or "",
        "" if server.replication_lag is None else f"{server.replication_lag:g} s",
        {None: "", True: "ok", False: "failed"}[server.is_persisting],
    ]


def _remarks(report: TierReport) -> list[str]:
    refused = report.server.settings_error if report.server is not None else ""
    lines = [
        report.error,
        *map(str, report.drift),
        f"its settings are not compared: {refused}" if refused else "",
    ]
    return [line for line in lines if line]


def _say_history(found: _ByTier, step: float, console: Console, *, as_json: bool) -> bool:
    is_well = all(
        sample.status == "up" for tiers in found.values() for samples in tiers.values() for sample in samples
    )
    if as_json:
        plain = {
            tier.name: {p: list(map(dataclasses.asdict, s)) for p, s in each.items()}
            for tier, each in found.items()
        }
        typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))
        return is_well
    if not found:
        console.print(
            "nothing was noted: processes begin with their first check, and need a Redis to note it in"
        )
    for tier, processes in found.items():
        console.print(f"{tier.name}, checked by {', '.join(name for name in processes if processes[name])}")
        table = _table(
            "time (UTC)", "status", "checks", "latency", "longest", "hit rate", "memory", "clients", "evicted"
        )
        for period in summarize(processes, step):
            table.add_row(*_line(period))
        console.print(table)
        if error := next((p.error for p in reversed(summarize(processes, step)) if p.error), ""):
            console.print(f"the last problem: {error}\n")
    return is_well


def _line(period: Period) -> list[str]:
    start = dt.datetime.fromtimestamp(period.start, dt.UTC)
    checks = f"{period.failed} of {period.checks} failed" if period.failed else str(period.checks)
    return [
        f"{start:%H:%M:%S}",
        period.status.value,
        checks,
        _milliseconds(period.latency_ms),
        _milliseconds(period.max_latency_ms),
        _percent(period.hit_rate),
        _memory(period.used_memory, period.max_memory),
        _number(period.connected_clients),
        _number(period.evicted_keys),
    ]


def _table(*titles: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in titles:
        table.add_column(title, no_wrap=True)
    return table


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} ms"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _number(value: Any) -> str:
    return "" if value is None else str(value)


def _memory(used: int | None, limit: int | None) -> str:
    if used is None:
        return ""
    return f"{used / 1e6:.1f} of {limit / 1e6:.0f} MB" if limit else f"{used / 1e6:.1f} MB"
