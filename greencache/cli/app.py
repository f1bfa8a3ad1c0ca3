"""The words of the command: one module each."""

import typer

from greencache.cli.config import config_app
from greencache.cli.db import db_app
from greencache.cli.demo import demo
from greencache.cli.explain import explain
from greencache.cli.health import health
from greencache.cli.redis_config import redis_config
from greencache.cli.simulate import simulate
from greencache.cli.version import version

__all__ = ["app"]

app = typer.Typer(
    help="A multi-tier cache for slowly changing facts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback with all locals would print values and passwords
)
app.command()(demo)
app.command()(explain)
app.command(name="redis-config")(redis_config)
app.command()(health)
app.command()(simulate)
app.command()(version)
app.add_typer(config_app, name="config")
app.add_typer(db_app, name="db")
