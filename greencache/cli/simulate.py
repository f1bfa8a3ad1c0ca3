"""`greencache simulate`."""

import dataclasses
import json
import pathlib
from typing import Annotated, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from greencache import ConfigurationError
from greencache.config.units import parse_duration, parse_size
from greencache.demo import RichDisplay
from greencache.policies import POLICIES
from greencache.simulate import Advice, Outcome, Simulation, TraceError, advise, draw_curves, read_trace
from greencache.simulate import simulate as run

__all__ = ["simulate"]

_COULD_NOT_RUN = 2


def simulate(
    trace: Annotated[
        pathlib.Path, typer.Argument(help="CSV key[,size[,ttl]] or JSON lines; .gz, .xz, .bz2, .zst.")
    ],
    *,
    policy: Annotated[
        list[str] | None, typer.Option(help="Policies, with commas between; all without it.")
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(help="Sizes of the cache in bytes, such as 1MB,10MB.")
    ] = None,
    entries: Annotated[
        list[str] | None, typer.Option(help="Sizes of the cache in entries, such as 1000,5000.")
    ] = None,
    ttl: Annotated[str | None, typer.Option(help="How long every value is fresh, such as 60s.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=1e-9, help="Requests a second, if no times are told; 1 without it.")
    ] = None,
    output: Annotated[pathlib.Path, typer.Option(help="Folder of the chart.")] = pathlib.Path(
        "simulate-output"
    ),
    json_path: Annotated[pathlib.Path | None, typer.Option("--json", help="Write all figures there.")] = None,
    chart: Annotated[bool, typer.Option(help="Draw the curves, as PNG and SVG.")] = True,
) -> None:
    """Replay a trace of requests, to choose a policy and a size of L1.

    Without --size or --entries, parts of everything that the trace requests are tried. Plain numbers of
    --size are entries if the trace tells no sizes. Each key keeps the size that the trace first tells, and
    every miss is stored. The exit status is 2 if the simulation could not run.
    """
    console = Console()
    try:
        policies = _policies(policy)
        if size and entries:
            raise ConfigurationError("expected sizes of the cache in bytes or in entries, got both")
        simulation = run(
            read_trace(trace),
            policies=policies,
            sizes=_sizes(size or entries),
            by_bytes=_by_bytes(size, entries),
            ttl=None if ttl is None else parse_duration(ttl),
            rate=rate,
            display=RichDisplay(console),
        )
    except (ConfigurationError, TraceError, OSError) as error:
        _give_up(console, str(error))
    advice = advise(simulation.curve(policies[0]))
    _print(console, simulation, advice)
    if json_path is not None:
        json_path.write_text(json.dumps(dataclasses.asdict(simulation), indent=2) + "\n", encoding="utf-8")
    if chart:
        _draw(console, simulation, advice, output)


def _policies(texts: list[str] | None) -> list[str]:
    names = [name.lower() for name in _words(texts)] or list(POLICIES)
    if unknown := [name for name in names if name not in POLICIES]:
        raise ConfigurationError(f"expected policies out of {', '.join(POLICIES)}, got {', '.join(unknown)}")
    return list(dict.fromkeys(names))


def _sizes(texts: list[str] | None) -> list[int]:
    sizes = [parse_size(part) for part in _words(texts)]
    if 0 in sizes:
        raise ConfigurationError("expected sizes of more than nothing, got 0")
    return sizes


def _by_bytes(size: list[str] | None, entries: list[str] | None) -> bool | None:
    """Return whether sizes are bytes; `None` if that depends on what the trace tells."""
    if entries:
        return False
    return None if all(part.isdecimal() for part in _words(size)) else True


def _words(texts: list[str] | None) -> list[str]:
    """Return what was named, with commas between or one by one."""
    return [part.strip() for text in texts or () for part in text.split(",")]


def _print(console: Console, simulation: Simulation, advice: Advice) -> None:
    facts = simulation.trace
    parts = [f"{facts.requests:,} requests", f"{facts.unique:,} keys"]
    if facts.has_sizes:
        parts.append(f"{_bytes(facts.footprint)} in all")
    console.print(", ".join(parts), highlight=False)
    console.print(_table(simulation, "Hit ratio", "hit_ratio"))
    if facts.has_sizes:
        console.print(_table(simulation, "Byte hit ratio", "byte_hit_ratio"))
    if facts.has_costs:
        console.print(_table(simulation, "Cost saved", "cost_saved"))
    _print_guesses(console, simulation)
    name = simulation.policies[0]
    best = _size(simulation, advice.outcome.size)
    console.print(f"Worth its memory, with {name}: [bold]{best}[/], {advice}", highlight=False)


def _print_guesses(console: Console, simulation: Simulation) -> None:
    facts = simulation.trace
    if facts.has_guessed_times:
        console.print("The trace tells no times: one request a second is assumed; --rate says otherwise.")
    if not facts.has_costs:
        console.print(
            "The trace tells no costs of loading: if all are equal, the hit ratio is what is saved."
        )


def _table(simulation: Simulation, title: str, measure: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("policy", no_wrap=True)
    for size in simulation.sizes:
        table.add_column(_size(simulation, size), justify="right")
    for name in simulation.policies:
        table.add_row(name, *_cells(simulation.curve(name), measure))
    # The exact optimum is that of hits alone; of bytes and costs it is only what it happens to reach.
    if not simulation.is_exact or measure == "hit_ratio":
        name = "optimum (Bélády)" if simulation.is_exact else "optimum (Bélády), at most"
        table.add_row(name, *_cells(simulation.optimum, measure), style="dim")
    return table


def _cells(curve: list[Outcome] | tuple[Outcome, ...], measure: str) -> list[str]:
    return [f"{getattr(outcome, measure):.2%}" for outcome in curve]


def _size(simulation: Simulation, size: int) -> str:
    return _bytes(size) if simulation.by_bytes else f"{size:,} entries"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 -- what the prefixes mean
            return f"{size:.3g}{unit}"
        size /= 1000
    return f"{size:.3g}TB"


def _draw(console: Console, simulation: Simulation, advice: Advice, output: pathlib.Path) -> None:
    try:
        paths = draw_curves(simulation, advice, output)
    except ModuleNotFoundError:
        _give_up(console, "the chart needs matplotlib: pip install 'greencache[cli]', or say --no-chart")
    console.print(f"Chart: {', '.join(map(str, paths))}")


def _give_up(console: Console, reason: str) -> NoReturn:
    console.print(f"[bold red]greencache simulate could not run:[/] {escape(reason)}", highlight=False)
    raise typer.Exit(_COULD_NOT_RUN)
