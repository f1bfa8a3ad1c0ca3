"""`greencache redis-config`."""

import enum
import pathlib
from typing import Annotated

import typer

from greencache import CacheConfig, CacheTier, ConfigurationError, GreencacheError
from greencache.backends.redis_report import AppliedSetting, SettingOutcome
from greencache.build.servers import redis_manager_of
from greencache.clock import SystemClock
from greencache.config import RedisConfig, RedisTopology
from greencache.deploy import KINDS, Kind, Plan, render

__all__ = ["redis_config"]


class _Tier(enum.StrEnum):
    L2 = "l2"
    L3 = "l3"


def redis_config(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[conf] [compose] [kubernetes]", help="Which; all by default."),
    ] = None,
    *,
    config: Annotated[
        pathlib.Path | None, typer.Option(help="The cache's YAML file; without it, the environment.")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="Which of its profiles.")] = None,
    tier: Annotated[_Tier, typer.Option(help="Which tier's servers.")] = _Tier.L3,
    topology: Annotated[
        RedisTopology | None, typer.Option(help="Instead of the one that the tier's url implies.")
    ] = None,
    output: Annotated[pathlib.Path, typer.Option(help="Folder of the files.")] = pathlib.Path("redis-deploy"),
    check: Annotated[bool, typer.Option("--check", help="Only tell where running servers differ.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Set on running servers what may be set.")] = False,
) -> None:
    """Render the files that set up a tier's Redis servers, or compare running servers, or change them.

    Writes redis.conf, sentinel.conf, a file for each node of a Cluster, Docker Compose and Kubernetes
    manifests; no password is in any of them. --check and --apply write nothing. The exit status is 0 if all
    is well, 1 if servers differ or a setting could not be set, 2 if nothing could be done.
    """
    try:
        settings = CacheConfig.load(config, profile=profile)
        if check or apply:
            raise typer.Exit(_compare(settings.l2 if tier is _Tier.L2 else settings.l3, apply))
        plan = Plan.of(settings, CacheTier[tier.name], topology)
        _write(render(plan, _kinds(what or KINDS)), output)
    except (GreencacheError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    for warning in plan.warnings():
        typer.echo(f"note: {warning}", err=True)


def _kinds(names: list[str] | tuple[Kind, ...]) -> list[Kind]:
    kinds = [kind for kind in KINDS if kind in names]
    for name in names:
        if name not in KINDS:
            raise ConfigurationError(f"expected conf, compose or kubernetes, got {name!r}")
    return kinds


def _write(files: dict[str, str], folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        if path.suffix == ".sh":
            path.chmod(0o755)
        typer.echo(f"{path}")


def _compare(config: RedisConfig, apply: bool) -> int:
    """Say what differs, or what became of it, and return the exit status."""
    server = config.server.model_copy(update={"compare": True})  # asked for, whatever health_check does
    with redis_manager_of(config.model_copy(update={"server": server}), SystemClock()) as manager:
        if apply:
            return _say_applied(manager.apply_settings())
        health = manager.check()
    if problem := (health.settings_error or ("" if health.up else health.error)):
        typer.echo(problem, err=True)
        return 2
    for drift in health.drift:
        typer.echo(str(drift))
    if not health.drift:
        typer.echo("as configured")
    return 1 if health.drift else 0


def _say_applied(applied: tuple[AppliedSetting, ...]) -> int:
    for each in applied:
        drift = each.drift
        change = f"{drift.server} {drift.setting}: {drift.found!r} to {drift.expected!r}: {each.outcome}"
        typer.echo(f"{change} ({each.reason})" if each.reason else change)
    if not applied:
        typer.echo("as configured")
    else:
        typer.echo("what was set lasts until a restart, unless the server's redis.conf says the same")
    return 0 if all(each.outcome is SettingOutcome.SET for each in applied) else 1
