"""`greencache version`."""

import importlib.metadata
import platform

import typer

import greencache

__all__ = ["version"]

_LIBRARIES = ("redis", "hiredis", "psycopg", "psycopg-pool", "msgspec", "pydantic")


def version() -> None:
    """Print the versions of greencache, Python and the libraries it stands on."""
    typer.echo(f"greencache {greencache.__version__}")
    typer.echo(f"Python {platform.python_version()}")
    for name in _LIBRARIES:
        try:
            typer.echo(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            typer.echo(f"{name} is not installed")
