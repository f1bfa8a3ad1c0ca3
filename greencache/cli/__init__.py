"""The `greencache` command."""

import sys

__all__ = ["main"]

_EXTRA = frozenset({"matplotlib", "rich", "typer"})


def main() -> None:
    """Run the command; without its libraries, say what brings them and leave with status 2."""
    try:
        from greencache.cli.app import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        print(missing_extra(error.name), file=sys.stderr)
        sys.exit(2)
    app(prog_name="greencache")


def missing_extra(module: str) -> str:
    """Return what to do about a library that is not installed."""
    return (
        f"greencache needs {module} for this command, which is not installed: pip install 'greencache[cli]'"
    )
