#!/bin/sh
# Starts a server, a sentinel or a Cluster with what greencache has rendered, and with its password, which is
# in none of the rendered files.
#
#   start.sh server      a data server; with REDIS_SENTINELS a replica of whom they name, or of REDIS_PRIMARY
#   start.sh sentinel    a sentinel that watches whom the other sentinels name, or REDIS_PRIMARY
#   start.sh create      makes a Cluster of REDIS_NODES, unless there is one
#   start.sh ready       whether the server here answers; start.sh alive: whether it runs, loading included
#
# REDIS_PASSWORD_FILE or REDIS_PASSWORD, REDIS_USER    the login; none if neither is set
# REDIS_CONF_DIR (where this script is)     redis.conf and sentinel.conf
# REDIS_DATA (/data), REDIS_RUN (/run/greencache)      what survives a restart, and what need not
# REDIS_PORT (6379), REDIS_ANNOUNCE         where it listens, and what others are to call it
# REDIS_SENTINELS (host:port …), REDIS_SERVICE (mymaster), REDIS_PRIMARY (host:port)
# REDIS_NODES (host:port …), REDIS_REPLICAS (1)
# REDIS_TLS_DIR (/etc/greencache-tls)       tls.crt, tls.key and ca.crt, where the rendered files speak of TLS
# REDIS_SERVER, REDIS_CLI                   the programs
set -eu
umask 077

here=$(cd "$(dirname "$0")" && pwd)
conf=${REDIS_CONF_DIR:-$here}
data=${REDIS_DATA:-/data}
run=${REDIS_RUN:-/run/greencache}
mode=${1:-server}
port=${REDIS_PORT:-6379}
service=${REDIS_SERVICE:-mymaster}
user=${REDIS_USER:-}
server=${REDIS_SERVER:-$(command -v redis-server || command -v valkey-server || true)}
cli=${REDIS_CLI:-$(command -v redis-cli || command -v valkey-cli || true)}

password=${REDIS_PASSWORD:-}
if [ -n "${REDIS_PASSWORD_FILE:-}" ]; then password=$(cat "$REDIS_PASSWORD_FILE"); fi
unset REDIS_PASSWORD
if [ -n "$password" ]; then export REDISCLI_AUTH="$password"; fi

tls=""
options=""
if grep -q -s '^tls-port' "$conf/redis.conf" "$conf/sentinel.conf"; then
    tls=${REDIS_TLS_DIR:-/etc/greencache-tls}
    options="--tls --cacert $tls/ca.crt --cert $tls/tls.crt --key $tls/tls.key"
fi

listen() { # where a server or a sentinel listens, and with which certificate
    if [ -z "$tls" ]; then echo "port $port"; return; fi
    echo "port 0"
    echo "tls-port $port"
    echo "tls-cert-file $tls/tls.crt"
    echo "tls-key-file $tls/tls.key"
    echo "tls-ca-cert-file $tls/ca.crt"
}

# A text as Redis reads it between quotes, whatever is in it.
quoted() { printf '"'; printf %s "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../\\x&/g'; printf '"'; }

ask() { # host:port command...; as the server's user
    place=$1; shift
    # shellcheck disable=SC2086 -- the options are words
    timeout 5 "$cli" $options --no-auth-warning ${user:+--user "$user"} -h "${place%:*}" -p "${place##*:}" "$@" 2>&1
}

ask_sentinel() { # host:port command...; sentinels know the default user only
    place=$1; shift
    # shellcheck disable=SC2086 -- the options are words
    timeout 5 "$cli" $options --no-auth-warning -h "${place%:*}" -p "${place##*:}" "$@" 2>/dev/null
}

primary() { # whom a sentinel names, as host:port, else REDIS_PRIMARY
    for sentinel in ${REDIS_SENTINELS:-}; do
        found=$(ask_sentinel "$sentinel" SENTINEL GET-MASTER-ADDR-BY-NAME "$service" | tr '\n' ' ') || continue
        # shellcheck disable=SC2086 -- two words
        set -- $found
        if [ $# -eq 2 ]; then echo "$1:$2"; return; fi
    done
    echo "${REDIS_PRIMARY:-}"
}

login() { # what a data server asks for, and gives as a replica
    [ -n "$password" ] || return 0
    if [ -n "$user" ]; then
        echo "user default off"
        echo "user $user on $(quoted ">$password") ~* &* +@all"
        echo "masteruser $user"
    else
        echo "requirepass $(quoted "$password")"
    fi
    echo "masterauth $(quoted "$password")"
}

start_server() {
    mkdir -p "$run" "$data"
    {
        echo "include $conf/redis.conf"
        echo "dir $data"
        listen
        login
        if [ -n "${REDIS_ANNOUNCE:-}" ]; then
            if grep -q '^cluster-enabled yes' "$conf/redis.conf"; then
                echo "cluster-announce-ip $REDIS_ANNOUNCE"
            else
                echo "replica-announce-ip $REDIS_ANNOUNCE"
                echo "replica-announce-port $port"
            fi
        fi
        leader=$(primary)
        if [ -n "$leader" ] && [ "$leader" != "${REDIS_ANNOUNCE:-}:$port" ]; then
            echo "replicaof ${leader%:*} ${leader##*:}"
        fi
    } > "$run/redis.conf"
    unset REDISCLI_AUTH
    exec "$server" "$run/redis.conf"
}

start_sentinel() {
    mkdir -p "$data"
    file=$data/sentinel.conf
    if [ ! -s "$file" ]; then
        leader=$(primary)
        grep -v '^#' "$conf/sentinel.conf" |
            sed "s/^sentinel monitor $service [^ ]* [^ ]*/sentinel monitor $service ${leader%:*} ${leader##*:}/" > "$file.new"
    else
        # The login may be another one by now; all else is what the sentinel has written itself.
        grep -v -e '^sentinel auth-' -e '^sentinel sentinel-pass' -e '^requirepass' -e '^port ' -e '^tls-port ' \
            -e '^tls-.*-file ' -e '^sentinel announce-ip' -e '^user default ' "$file" > "$file.new"
    fi
    {
        listen
        if [ -n "${REDIS_ANNOUNCE:-}" ]; then echo "sentinel announce-ip $REDIS_ANNOUNCE"; fi
        if [ -n "$password" ]; then
            if [ -n "$user" ]; then echo "sentinel auth-user $service $user"; fi
            echo "sentinel auth-pass $service $(quoted "$password")"
            echo "requirepass $(quoted "$password")"
            echo "sentinel sentinel-pass $(quoted "$password")"
        fi
    } >> "$file.new"
    mv "$file.new" "$file"
    unset REDISCLI_AUTH
    exec "$server" "$file" --sentinel
}

create_cluster() {
    nodes=""
    for node in $REDIS_NODES; do
        until ask "$node" PING | grep -q PONG; do echo "waiting for $node"; sleep 1; done
        # Nodes know each other by addresses, not by names.
        address=$(getent hosts "${node%:*}" | awk '{ print $1; exit }')
        nodes="$nodes ${address:-${node%:*}}:${node##*:}"
    done
    if ask "${nodes##* }" CLUSTER INFO | grep -q '^cluster_state:ok'; then echo "there is a Cluster"; return; fi
    # shellcheck disable=SC2086 -- the options are words
    exec "$cli" $options --no-auth-warning ${user:+--user "$user"} --cluster create $nodes \
        --cluster-replicas "${REDIS_REPLICAS:-1}" --cluster-yes
}

case $mode in
    server) start_server ;;
    sentinel) start_sentinel ;;
    create) create_cluster ;;
    ready) ask "127.0.0.1:$port" PING | grep -q PONG ;;
    ready-sentinel) ask_sentinel "127.0.0.1:$port" PING | grep -q PONG ;;
    alive) ask "127.0.0.1:$port" PING | grep -q -e PONG -e LOADING -e BUSY -e MASTERDOWN ;;
    *) echo "start.sh: expected server, sentinel, create, ready, ready-sentinel or alive, got $mode" >&2; exit 2 ;;
esac
