"""`greencache db migrate`, `watch`, `unwatch` and `watches`."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Annotated, TypeAlias

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from greencache import CacheConfig, ConfigurationError, GreencacheError, TableWatch, TableWatcher

__all__ = ["db_app"]

db_app = typer.Typer(help="Let a PostgreSQL database invalidate what is cached of it.", no_args_is_help=True)

_Config: TypeAlias = Annotated[
    pathlib.Path | None, typer.Option("--config", help="The cache's YAML file; without it, the environment.")
]
_Profile: TypeAlias = Annotated[str | None, typer.Option("--profile", help="Which of its profiles.")]
_Url: TypeAlias = Annotated[
    str | None, typer.Option("--url", help="The database's URL, instead of a configuration.")
]
_Namespace: TypeAlias = Annotated[
    str | None,
    typer.Option("--namespace", help="Of the caches that are to forget."),
]
_Name: TypeAlias = Annotated[str, typer.Argument(metavar="TABLE", help="table, or schema.table.")]


@db_app.command()
def migrate(config: _Config = None, profile: _Profile = None, url: _Url = None) -> None:
    """Create greencache's own tables, or bring them up to date; may be run again, and by many at once."""
    with _watcher(config, profile, url, None) as watcher:
        applied = watcher.migrate()
    for name in applied:
        typer.echo(f"applied {name}")
    if not applied:
        typer.echo("up to date")


@db_app.command()
def watch(
    table: _Name,
    *,
    key: Annotated[list[str] | None, typer.Option(help="A key's template over the columns.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag's template over the columns.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="field=column, where a field has another name than its column.")
    ] = None,
    notify: Annotated[
        bool | None,
        typer.Option(help="Whether a commit wakes the listener; by default where that cannot make one fail."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Keys of one statement told one by one.")] = 10_000,
    namespace: _Namespace = None,
    config: _Config = None,
    profile: _Profile = None,
    url: _Url = None,
) -> None:
    """Let whatever changes a table invalidate keys and tags, exactly when it is committed."""
    with _watcher(config, profile, url, namespace) as watcher:
        watched = watcher.watch(
            table, keys=key or (), tags=tag or (), columns=_columns(column or []), notify=notify, limit=limit
        )
    typer.echo(f"{watched.table}: {', '.join(_names(watched))}, in the namespace {watched.namespace}")


@db_app.command()
def unwatch(
    table: _Name,
    *,
    all_namespaces: Annotated[bool, typer.Option(help="The watches for other namespaces too.")] = False,
    namespace: _Namespace = None,
    config: _Config = None,
    profile: _Profile = None,
    url: _Url = None,
) -> None:
    """Remove the triggers of a table; the exit status is 1 if it was not watched."""
    with _watcher(config, profile, url, namespace) as watcher:
        count = watcher.unwatch(table, all_namespaces=all_namespaces)
    typer.echo(f"{table}: {count} watches removed" if count else f"{table}: was not watched")
    raise typer.Exit(0 if count else 1)


@db_app.command()
def watches(config: _Config = None, profile: _Profile = None, url: _Url = None) -> None:
    """List the watched tables, and what waits to be forgotten."""
    with _watcher(config, profile, url, None) as watcher:
        found = watcher.watches()
    listed = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("table", "namespace", "invalidates", "waiting"):
        listed.add_column(title, justify="right" if title == "waiting" else "left", overflow="fold")
    for each in found:
        listed.add_row(each.table or "(dropped)", each.namespace, "\n".join(_names(each)), str(each.waiting))
    Console(highlight=False, markup=False).print(listed if found else "no table is watched")


@contextlib.contextmanager
def _watcher(
    config: pathlib.Path | None, profile: str | None, url: str | None, namespace: str | None
) -> Iterator[TableWatcher]:
    """Open what does the work; say what is wrong and leave with status 1 if it cannot be done."""
    try:
        with _opened(config, profile, url, namespace) as watcher:
            yield watcher
    except (GreencacheError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _opened(
    config: pathlib.Path | None, profile: str | None, url: str | None, namespace: str | None
) -> TableWatcher:
    if url is not None:
        if config is not None or profile is not None:
            raise ConfigurationError("expected --url or --config, got both")
        return TableWatcher(url, namespace=namespace or "default")
    settings = CacheConfig.load(config, profile=profile)
    address = settings.l4.address
    if address is None:
        raise ConfigurationError("expected the address of PostgreSQL: give --url, or l4.url in --config FILE")
    return TableWatcher(
        address.get_secret_value(),
        namespace=namespace or settings.namespace,
        schema=settings.l4.schema_name,
    )


def _columns(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for field, sign, name in pairs:
        if not (field and sign and name):
            raise ConfigurationError(f"expected --column as field=column, got {field + sign + name!r}")
    return {field: name for field, _, name in pairs}


def _names(watch: TableWatch) -> list[str]:
    return [*(f"key {text}" for text in watch.keys), *(f"tag {text}" for text in watch.tags)]
