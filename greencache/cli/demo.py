"""`greencache demo`."""

import contextlib
import json
import pathlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from greencache import GreencacheError
from greencache.demo import MIN_ROWS, DemoSettings, Outcome, RichDisplay, draw_chart, print_report, run_demo

__all__ = ["demo"]

_FAILED = 1
_COULD_NOT_RUN = 2
_TERMINATED = 128 + signal.SIGTERM


def demo(
    *,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes on each of the two hosts.")] = 2,
    rows: Annotated[int | None, typer.Option(min=MIN_ROWS, help="Use the ledger's first rows only.")] = None,
    output: Annotated[pathlib.Path, typer.Option(help="Folder for the chart.")] = pathlib.Path("demo-output"),
    json_path: Annotated[
        pathlib.Path | None, typer.Option("--json", help="Write everything that was measured to this file.")
    ] = None,
    chart: Annotated[bool, typer.Option(help="Draw the chart, as PNG and SVG.")] = True,
) -> None:
    """Run the main job on real emission factors, over all four tiers.

    Starts its own PostgreSQL and Redis servers, and stops them again. The variables
    GREENCACHE_DEMO_POSTGRES_URL, GREENCACHE_DEMO_L2_URL and GREENCACHE_DEMO_L3_URL name servers to be used
    instead. The exit status is 0 if every check held, 1 if one did not, 2 if the demo could not run.
    """
    console = Console()
    if chart:
        _require_matplotlib(console)
    with _termination_as_exit():
        outcome = _run(DemoSettings(workers=workers, rows=rows), console)
    print_report(outcome, console)
    if json_path is not None:
        json_path.write_text(
            json.dumps(outcome.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        console.print(f"Figures: {json_path}")
    if chart:
        console.print(f"Chart: {', '.join(map(str, draw_chart(outcome, output)))}")
    for check in outcome.failed:
        console.print(f"[bold red]Failed:[/] {escape(f'{check.name}: {check.found}')}", highlight=False)
    raise typer.Exit(_FAILED if outcome.failed else 0)


def _run(settings: DemoSettings, console: Console) -> Outcome:
    try:
        return run_demo(settings, RichDisplay(console))
    except GreencacheError as error:
        _give_up(console, str(error))
    except KeyboardInterrupt:
        console.print("[yellow]Interrupted; everything that was started has been stopped.[/]")
        raise typer.Exit(128 + signal.SIGINT) from None


def _require_matplotlib(console: Console) -> None:
    try:
        import matplotlib as _  # noqa: F401, ICN001 -- only whether it is there
    except ModuleNotFoundError:
        _give_up(console, "the chart needs matplotlib: pip install 'greencache[cli]', or say --no-chart")


def _give_up(console: Console, reason: str) -> NoReturn:
    console.print(f"[bold red]greencache demo could not run:[/] {escape(reason)}", highlight=False)
    raise typer.Exit(_COULD_NOT_RUN)


@contextlib.contextmanager
def _termination_as_exit() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that what was started is stopped on the way out."""

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 -- the signature of a handler
        sys.exit(_TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
