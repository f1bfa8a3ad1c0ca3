"""`redis.conf`, `sentinel.conf` and the files of a Cluster's nodes; no secrets in any of them."""

from collections.abc import Iterator

from greencache.config import RedisTopology
from greencache.deploy.plan import PORT, SENTINEL_PORT, TLS_FOLDER, Plan

__all__ = ["FIRST_NODE_PORT", "create_script", "node_conf", "redis_conf", "sentinel_conf"]

FIRST_NODE_PORT = 7001

_HEAD = """\
# {title}
# Rendered by `greencache redis-config`; change the configuration of the cache instead of this file.
# No password is in here: start.sh adds it from a file, or from the environment.
"""
_SECTIONS = {
    "Memory": ("maxmemory", "lazyfree"),
    "Snapshots": ("save",),
    "Append-only file": ("append", "auto-aof"),
    "Replicas": ("min-replicas", "repl-"),
    "Clients": ("maxclients",),
    "Cluster": ("cluster-",),
}
_OTHERS = "Others"
_CLI_TLS = f"""\
tls=${{REDIS_TLS_DIR:-{TLS_FOLDER}}}
tls="--tls --cacert $tls/ca.crt --cert $tls/tls.crt --key $tls/tls.key"
# shellcheck disable=SC2086 -- the options are words
"""


def redis_conf(plan: Plan, port: int = PORT, title: str = "A Redis server of greencache.") -> str:
    """Return `redis.conf`.

    Args:
        plan: What is set up.
        port: Where the server listens.
        title: What the first line says.
    """
    sections: dict[str, list[str]] = {name: [] for name in (*_SECTIONS, _OTHERS)}
    if plan.topology is RedisTopology.CLUSTER:
        sections["Cluster"] += ["cluster-enabled yes", f"cluster-config-file nodes-{port}.conf"]
    for name, value in plan.server.as_directives(plan.topology).items():
        sections[_section_of(name)] += _lines(name, value)
    network = [
        # Without a password a server in protected mode answers its own host only, wherever it listens.
        "bind * -::*",
        "protected-mode yes",
        *_ports(plan, port),
        "tcp-keepalive 300",
        "daemonize no",
    ]
    parts = [_HEAD.format(title=title), _section("Network", network)]
    if plan.has_tls:
        members = ["tls-cluster yes"] if plan.topology is RedisTopology.CLUSTER else []
        parts.append(_section("TLS", [*_tls_lines(plan), *members]))
    parts += [_section(name, lines) for name, lines in sections.items() if lines]
    return "\n".join(parts)


def _ports(plan: Plan, port: int) -> list[str]:
    return ["port 0", f"tls-port {port}"] if plan.has_tls else [f"port {port}"]


def _tls_lines(plan: Plan) -> list[str]:
    """Return what servers and sentinels need to speak TLS, as replicas and as who watches too."""
    return [
        f"tls-cert-file {TLS_FOLDER}/tls.crt",
        f"tls-key-file {TLS_FOLDER}/tls.key",
        f"tls-ca-cert-file {TLS_FOLDER}/ca.crt",
        # A certificate that is shown must be good, whether it must be shown or not.
        f"tls-auth-clients {'yes' if plan.asks_for_certificates else 'optional'}",
        "tls-replication yes",
    ]


def node_conf(plan: Plan, number: int) -> str:
    """Return the file of one node of a Cluster whose nodes share a host and a folder.

    Args:
        plan: What is set up.
        number: Which node, from 1 on.
    """
    port = FIRST_NODE_PORT + number - 1
    text = redis_conf(plan, port, f"Node {number} of {plan.count} of a Redis Cluster of greencache.")
    names = [f"dbfilename dump-{port}.rdb", f"appendfilename appendonly-{port}.aof"]
    return f"{text}\n{_section('Files', names)}"


def create_script(plan: Plan) -> str:
    """Return the script that makes a Cluster of such nodes."""
    places = [f"127.0.0.1:{FIRST_NODE_PORT + number}" for number in range(plan.count)]
    return (
        "#!/bin/sh\n"
        "# Makes a Cluster of the nodes of node-*.conf, which must run; give other places as arguments.\n"
        "# A password comes from the variable REDISCLI_AUTH.\n"
        "set -eu\n"
        f"[ $# -gt 0 ] || set -- {' '.join(places)}\n"
        f'{_CLI_TLS if plan.has_tls else ""}exec "${{REDIS_CLI:-redis-cli}}" '
        f'{"$tls " if plan.has_tls else ""}--cluster create "$@" '
        f"--cluster-replicas {plan.server.cluster.replicas} --cluster-yes\n"
    )


def sentinel_conf(plan: Plan, host: str = "127.0.0.1") -> str:
    """Return `sentinel.conf`, which the sentinel will rewrite: give each sentinel a copy of its own.

    Args:
        plan: What is set up.
        host: Where the primary is at first.
    """
    sentinel, name = plan.server.sentinel, plan.service
    lines = [
        *_ports(plan, SENTINEL_PORT),
        *(_tls_lines(plan) if plan.has_tls else ()),
        "daemonize no",
        "sentinel resolve-hostnames yes",
        "sentinel announce-hostnames yes",
        f"sentinel monitor {name} {host} {PORT} {sentinel.needed}",
        f"sentinel down-after-milliseconds {name} {round(1_000 * sentinel.down_after)}",
        f"sentinel failover-timeout {name} {round(1_000 * sentinel.failover_timeout)}",
        f"sentinel parallel-syncs {name} {sentinel.parallel_syncs}",
    ]
    return _HEAD.format(title="A sentinel of greencache.") + "\n" + "\n".join(lines) + "\n"


def _section_of(name: str) -> str:
    return next((title for title, starts in _SECTIONS.items() if name.startswith(starts)), _OTHERS)


def _lines(name: str, value: str) -> Iterator[str]:
    if name != "save":
        yield f"{name} {value}" if value else f'{name} ""'
        return
    words = value.split()
    # One rule a line, as Redis 6.2 reads them.
    yield from (f"save {' '.join(words[place : place + 2])}" for place in range(0, len(words), 2))
    if not words:
        yield 'save ""'


def _section(title: str, lines: list[str]) -> str:
    return f"# {title}\n" + "\n".join(lines) + "\n"
