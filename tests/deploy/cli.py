#!/usr/bin/env python3
"""As much of redis-cli as start.sh uses, for machines without one; making a Cluster is only printed."""

import os
import sys

import redis


def main(words):
    """Run one command and print the reply, an array line by line."""
    options = {"-h": "127.0.0.1", "-p": "6379", "--user": None}
    while words and words[0].startswith("-") and words[0] != "--cluster":
        if words[0] in ("--no-auth-warning", "--tls"):
            options[words[0]] = True
            words = words[1:]
            continue
        options[words[0]] = words[1]
        words = words[2:]
    if words[0] == "--cluster":
        print(" ".join(words))
        return 0
    client = redis.Redis(
        host=options["-h"],
        port=int(options["-p"]),
        username=options["--user"],
        password=os.environ.get("REDISCLI_AUTH"),
        protocol=2,
        decode_responses=True,
        socket_timeout=4,
        ssl="--tls" in options,
        ssl_ca_certs=options.get("--cacert"),
        ssl_certfile=options.get("--cert"),
        ssl_keyfile=options.get("--key"),
    )
    client.response_callbacks.clear()
    try:
        reply = client.execute_command(*words)
    except redis.ConnectionError as error:
        print(error)
        return 1
    except redis.RedisError as error:
        reply = str(error)
    print("\n".join(reply) if isinstance(reply, list) else reply)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
