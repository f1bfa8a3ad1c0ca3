#!/bin/sh
# Makes a Cluster of the nodes of node-*.conf, which must run; give other places as arguments.
# A password comes from the variable REDISCLI_AUTH.
set -eu
[ $# -gt 0 ] || set -- 127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003 127.0.0.1:7004 127.0.0.1:7005 127.0.0.1:7006
exec "${REDIS_CLI:-redis-cli}" --cluster create "$@" --cluster-replicas 1 --cluster-yes
