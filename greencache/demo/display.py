"""What is shown while the demo works: one line for each step, one bar for the rows."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Display", "RichDisplay", "SilentDisplay"]


class Display(Protocol):
    """Somebody who wants to know how far the demo is."""

    def step(self, name: str, total: int | None = None) -> AbstractContextManager[Callable[[int], None]]:
        """Announce a step.

        Args:
            name: What is being done.
            total: How many rows it has, if it works on rows.

        Returns:
            A context that lasts as long as the step; calling it notes further rows done.
        """
        ...


class SilentDisplay:
    """Shows nothing."""

    @contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        """Let the step pass."""
        yield lambda _: None


class RichDisplay:
    """Shows a progress bar on a terminal, and one line for each finished step anywhere.

    Args:
        console: Where to.
    """

    def __init__(self, console: "Console") -> None:
        self._console = console

    @contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show a bar until the step is over, then how long it took."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        counted = (BarColumn(), MofNCompleteColumn()) if total else ()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), *counted, TimeElapsedColumn())
        started = time.monotonic()
        is_watched = self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=not is_watched) as progress:
            task = progress.add_task(name, total=total)
            yield lambda rows: progress.advance(task, rows)
        self._console.print(f"[green]✓[/] {name} [dim]{time.monotonic() - started:.1f} s[/]")
