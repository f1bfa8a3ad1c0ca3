"""`greencache config check`."""

import pathlib
from typing import Annotated

import typer

from greencache import CacheConfig, GreencacheError

__all__ = ["config_app"]

config_app = typer.Typer(help="Look at configuration files.", no_args_is_help=True)


@config_app.callback()
def _group() -> None:
    # With a single command typer would drop the word `check`.
    """Look at configuration files."""


@config_app.command()
def check(
    path: Annotated[pathlib.Path, typer.Argument(help="A YAML file, such as config/cache.yaml.")],
    profile: Annotated[str | None, typer.Option(help="The profile to check.")] = None,
) -> None:
    """Say whether a configuration file is valid; the exit status is 1 if it is not."""
    try:
        config = CacheConfig.load(path, profile=profile)
    except (GreencacheError, OSError) as error:
        typer.echo(f"{path}: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{path}: valid")
    typer.echo(f"tiers: {', '.join(map(str, config.tiers))}")
