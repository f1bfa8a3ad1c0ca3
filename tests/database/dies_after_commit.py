"""A process that dies between COMMIT and what is to follow it.

Arguments: the database's URL, the namespace.
"""

import os
import signal
import sys

import psycopg

from greencache import CacheManager
from greencache.manager.transaction import Transaction


def main(url, namespace):
    """Change something, commit, and die."""
    Transaction.committed = lambda _: os.kill(os.getpid(), signal.SIGKILL)
    cache = CacheManager.from_urls(l4=url, namespace=namespace)
    options = "-c search_path=public"
    with psycopg.connect(url, options=options) as connection, cache.transaction(connection) as transaction:
        connection.execute("update factors set amount = 2")
        transaction.invalidate("factor:DE")
        transaction.set("factor:FR", 2)


if __name__ == "__main__":
    main(*sys.argv[1:])
