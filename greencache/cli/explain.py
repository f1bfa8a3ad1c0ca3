"""`greencache explain`."""

import json
import pathlib
from typing import Annotated

import typer

from greencache import CacheManager, GreencacheError

__all__ = ["explain"]

_MISS = 1
_COULD_NOT_LOOK = 2


def explain(
    key: Annotated[str, typer.Argument(help="The key, as the program gives it to the cache.")],
    config: Annotated[pathlib.Path, typer.Option(help="The cache's YAML file.")] = pathlib.Path(
        "config/cache.yaml"
    ),
    profile: Annotated[str | None, typer.Option(help="Which of its profiles.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which tiers have a key, how fresh it is there, who is loading it, and what stands in its way.

    Changes nothing. What a program has in its own memory only it can tell, by cache.explain(key). The exit
    status is 0 if a read would be answered, 1 if it would be a miss, 2 if nothing could be looked at.
    """
    try:
        with CacheManager.from_config(config, profile=profile) as cache:
            explanation = cache.explain(key)
    except (GreencacheError, OSError) as error:
        typer.echo(f"{config}: {error}", err=True)
        raise typer.Exit(_COULD_NOT_LOOK) from None
    if as_json:
        typer.echo(json.dumps(explanation.as_dict(), indent=2, ensure_ascii=False))
    else:
        typer.echo(str(explanation))
    raise typer.Exit(_MISS if explanation.answered_by is None else 0)
