"""The tables at the end of the demo."""

from decimal import Decimal
from typing import TYPE_CHECKING

from greencache.demo.outcome import Outcome, Stage, tonnes
from greencache.typing import CacheTier, Seconds

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["print_report"]


def print_report(outcome: Outcome, console: "Console") -> None:
    """Print what came out: tiers, passes, emissions, checks.

    Args:
        outcome: What came out.
        console: Where to.
    """
    from rich.markup import escape

    console.print()
    for part, server in outcome.servers.items():
        console.print(f"{part}: {server}", highlight=False)
    console.print()
    for table in (_tiers(outcome), _stages(outcome), _emissions(outcome), _checks(outcome)):
        console.print(table)
        console.print()
    for note in outcome.notes:
        console.print(f"[yellow]Note:[/] {escape(note)}", highlight=False)
    held = len(outcome.checks) - len(outcome.failed)
    console.print(f"{held} of {len(outcome.checks)} checks held, in {outcome.seconds:.0f} s.")


def _table(title: str, first: str, *numbers: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _tiers(outcome: Outcome) -> "Table":
    table = _table("Tiers, all passes together", "tier", "hits", "hit rate", "time per lookup", "entries")
    for tier, counts in outcome.stats.tiers.items():
        table.add_row(
            _tier_name(tier),
            f"{counts.hits:,}",
            f"{counts.hit_rate:.1%}",
            _duration(outcome.lookup_seconds.get(tier.name)),
            f"{outcome.entries[tier]:,}" if tier in outcome.entries else "-",
        )
    name = f"PostgreSQL directly, {outcome.sample_rows:,} rows"
    table.add_row(name, "-", "-", _duration(outcome.lookup_seconds.get("direct")), "-", style="dim")
    return table


def _stages(outcome: Outcome) -> "Table":
    names = [tier.name for tier in outcome.stats.tiers]
    table = _table("Passes over the ledger", "pass", "rows", "rows/s", *names, "loads", "errors")
    for stage in outcome.stages:
        table.add_row(*_stage_row(stage))
    return table


def _stage_row(stage: Stage) -> list[str]:
    hits = [f"{counts.hits:,}" for counts in stage.stats.tiers.values()]
    tail = [f"{stage.stats.loads.loads:,}", f"{sum(stage.errors.values()):,}"]
    return [stage.name, f"{stage.rows:,}", f"{stage.rows_per_second:,.0f}", *hits, *tail]


def _emissions(outcome: Outcome) -> "Table":
    title = f"Emissions of {outcome.ledger_rows:,} rows of generation"
    table = _table(title, "by the factors of", "TWh", "Mt CO₂e", "g/kWh")
    for source, grams in outcome.grams_by_source.items():
        table.add_row(*_emissions_row(source, outcome.kwh_by_source[source], grams, 1))
    table.add_section()
    kwh = sum(outcome.kwh_by_source.values())
    table.add_row(*_emissions_row("with the cache", kwh, outcome.grams_cached, 6))
    table.add_row(*_emissions_row("without the cache", kwh, outcome.grams_direct, 6))
    return table


def _emissions_row(name: str, kwh: int, grams: Decimal, digits: int) -> list[str]:
    intensity = f"{grams / kwh:.1f}" if kwh else "-"
    return [name, f"{kwh / 1e9:,.1f}", f"{tonnes(grams) / 1_000_000:,.{digits}f}", intensity]


def _checks(outcome: Outcome) -> "Table":
    table = _table("Checks", "")
    table.columns[0].no_wrap = False
    table.add_column("found")
    for check in outcome.checks:
        mark = "[green]✓[/]" if check.holds else "[bold red]✗[/]"
        table.add_row(f"{mark} {check.name}", check.found)
    return table


def _tier_name(tier: CacheTier) -> str:
    kind = {CacheTier.L1: "process memory", CacheTier.L2: "host Redis", CacheTier.L3: "shared Redis"}
    return f"{tier.name} {kind.get(tier, 'materialized views')}"


def _duration(seconds: Seconds | None) -> str:
    if seconds is None:
        return "-"
    micro = seconds * 1e6
    return f"{micro:,.1f} µs"
