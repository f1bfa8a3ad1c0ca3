"""A database, connections to it, and who watches its tables."""

import psycopg
import pytest

from greencache.outbox.watcher import TableWatcher

NAMESPACE = "shop"


@pytest.fixture
def watcher(postgres_url):
    """A watcher of an empty database."""
    with TableWatcher(postgres_url, namespace=NAMESPACE) as watcher:
        watcher.migrate()
        yield watcher


@pytest.fixture
def connect(postgres_url):
    """Open connections that are closed in the end."""
    opened = []

    def connect(**options):
        # The tests' user is called as our schema is, and would find that first.
        settings = {"autocommit": True, "options": "-c search_path=public"}
        opened.append(psycopg.connect(postgres_url, **settings | options))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def database(connect):
    """A connection as any SQL client has it."""
    return connect()


class Outbox:
    """What waits in the outbox, in the order in which it was written."""

    def __init__(self, connection):
        self._connection = connection

    def take(self):
        """Return the keys, tags and patterns that wait, and forget them; "everything" is a pattern here."""
        names = {"keys": [], "tags": [], "patterns": []}
        query = "select keys, tags, patterns, is_everything from greencache.outbox order by id"
        for keys, tags, patterns, is_everything in self._connection.execute(query):
            names["keys"] += keys
            names["tags"] += tags
            names["patterns"] += [*patterns, "everything"] if is_everything else patterns
        self._connection.execute("delete from greencache.outbox")
        return {kind: sorted(found) for kind, found in names.items() if found}

    def rows(self):
        """Return how many rows wait."""
        return self._connection.execute("select count(*) from greencache.outbox").fetchone()[0]


@pytest.fixture
def outbox(connect, watcher):
    """The outbox."""
    return Outbox(connect())


@pytest.fixture
def factors(database, watcher):
    """The name of a table whose rows are read under factor:{region}:{metric}, tagged by region."""
    database.execute(
        "create table factors (region text, metric text, amount numeric, unique (region, metric))"
    )
    database.execute("insert into factors values ('DE', 'co2', 1), ('FR', 'co2', 2)")
    watcher.watch("factors", keys=["factor:{region}:{metric}"], tags=["region:{region}"])
    return "factors"
