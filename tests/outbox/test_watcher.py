"""Which statements on a watched table invalidate what."""

import concurrent.futures
import contextlib
import re
import secrets

import psycopg
import pytest

from greencache.backends.postgres_outbox_watch import WatchedTables
from greencache.backends.postgres_sql import migration_names
from greencache.errors import ConfigurationError, TierUnavailableError
from greencache.keys import Template
from greencache.outbox.watcher import TableWatch, TableWatcher
from tests.outbox.conftest import NAMESPACE, Outbox

EVERYTHING = {"patterns": ["everything"]}


def named(*rows):
    """Return what rows of factors are called by, each `region:metric`."""
    regions = {row.split(":")[0] for row in rows}
    return {
        "keys": sorted(f"factor:{row}" for row in rows),
        "tags": sorted(f"region:{each}" for each in regions),
    }


WRITERS = {
    "insert": ("insert into factors values ('IT', 'co2', 3)", named("IT:co2")),
    "insert of many": (
        "insert into factors values ('IT', 'co2', 3), ('IT', 'ch4', 3)",
        named("IT:co2", "IT:ch4"),
    ),
    "update of a value": ("update factors set amount = 9 where region = 'DE'", named("DE:co2")),
    "update of a key": ("update factors set region = 'PL' where region = 'DE'", named("DE:co2", "PL:co2")),
    "update of nothing": ("update factors set amount = 9 where region = 'XX'", {}),
    "delete": ("delete from factors where region = 'FR'", named("FR:co2")),
    "truncate": ("truncate factors", EVERYTHING),
    "on conflict": (
        """
        insert into factors values ('DE', 'co2', 7), ('IT', 'co2', 8)
        on conflict (region, metric) do update set amount = excluded.amount
        """,
        named("DE:co2", "IT:co2"),
    ),
    "on conflict do nothing": (
        "insert into factors values ('DE', 'co2', 7), ('IT', 'co2', 8) on conflict do nothing",
        named("IT:co2"),
    ),
    "with": (
        """
        with gone as (delete from factors where region = 'DE' returning *)
        insert into factors select 'IT', metric, amount from gone
        """,
        named("DE:co2", "IT:co2"),
    ),
    "merge": (
        """
        merge into factors using (values ('DE', 5), ('IT', 6), ('FR', null)) as s (region, amount)
        on factors.region = s.region
        when matched and s.amount is null then delete
        when matched then update set amount = s.amount
        when not matched then insert values (s.region, 'co2', s.amount)
        """,
        named("DE:co2", "FR:co2", "IT:co2"),
    ),
}


@pytest.fixture
def write(database, factors, outbox):
    """Run a statement and return what it invalidates; then put the rows back."""

    def write(statement):
        with database.transaction() as transaction:
            database.execute(statement)
            # Seen by the writer itself, before anybody else does.
            found = Outbox(database).take()
            raise psycopg.Rollback(transaction)
        return found

    return write


def test_every_kind_of_statement_names_what_it_changes(write):
    """Each key and tag, those from before an update too."""
    for writer, (statement, expected) in WRITERS.items():
        found = write(statement)
        assert {kind: sorted(set(names)) for kind, names in found.items()} == expected, writer


def test_copy_names_what_it_brings(database, factors, outbox):
    """As any other statement."""
    with database.cursor().copy("copy factors from stdin") as copy:
        copy.write_row(("IT", "co2", 1))
        copy.write_row(("IT", "ch4", 2))
    assert outbox.take() == {"keys": ["factor:IT:ch4", "factor:IT:co2"], "tags": ["region:IT"]}


def test_a_transaction_counts_when_it_is_committed(database, connect, factors, outbox):
    """Not before, not after a rollback, and of savepoints only those that are kept."""
    writer = connect(autocommit=False)
    writer.execute("insert into factors values ('IT', 'co2', 1)")
    assert outbox.take() == {}
    writer.rollback()
    assert outbox.take() == {}
    with writer.transaction():
        writer.execute("insert into factors values ('IT', 'kept', 1)")
        with writer.transaction():
            writer.execute("insert into factors values ('PL', 'kept', 1)")
        with writer.transaction() as inner:
            writer.execute("insert into factors values ('ES', 'lost', 1)")
            raise psycopg.Rollback(inner)
    assert outbox.take() == named("IT:kept", "PL:kept")


def test_two_phase_commit_counts_at_the_second(postgres_servers):
    """A NOTIFY would keep PostgreSQL from preparing, so none is sent where the server allows that."""
    server = postgres_servers(settings={"max_prepared_transactions": "5"})
    url = server.create_database()
    with TableWatcher(url, namespace=NAMESPACE) as watcher, psycopg.connect(url, autocommit=True) as database:
        outbox = Outbox(database)
        database.execute("create table t (id int)")
        watcher.watch("t", keys=["t:{id}"])
        for end, expected in (("commit", {"keys": ["t:7"]}), ("rollback", {})):
            database.execute("begin; insert into t values (7); prepare transaction 'one'")
            assert outbox.take() == {}
            database.execute(f"{end} prepared 'one'")
            assert outbox.take() == expected
        watcher.watch("t", keys=["t:{id}"], notify=True)
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            database.execute("begin; insert into t values (7); prepare transaction 'one'")


def test_a_transaction_wakes_once_and_says_nothing(connect, database, factors):
    """However many statements and keys; the payload would be what the server limits."""
    listener = connect()
    listener.execute("listen greencache")
    with database.transaction():
        for number in range(20):
            database.execute("insert into factors values ('IT', %s, 1)", [str(number)])
    assert [notice.payload for notice in listener.notifies(timeout=1)] == [""]


def test_too_many_keys_become_one_pattern(database, watcher, outbox):
    """Past the limit; and everything, where the template begins with a field, or there are too many tags."""
    database.execute("create table t (id int, kind text)")
    fill = "insert into t select n, n::text from generate_series(1, %s) as n"
    watcher.watch("t", keys=["it*m:{id}"], tags=["all"], limit=100)
    database.execute(fill, [100])
    assert outbox.take() == {"keys": sorted(f"it*m:{n}" for n in range(1, 101)), "tags": ["all"]}
    database.execute(fill, [101])
    assert outbox.take() == {"patterns": ["it\\*m:*"], "tags": ["all"]}
    database.execute("truncate t")
    assert outbox.take() == {"patterns": ["it\\*m:*"], "tags": ["all"]}
    watcher.watch("t", keys=["{id}"], limit=100)
    database.execute(fill, [101])
    assert outbox.take() == EVERYTHING
    watcher.watch("t", keys=["k:{id}"], tags=["kind:{kind}"], limit=1000)
    database.execute(fill, [1001])
    assert outbox.take() == EVERYTHING


def test_many_keys_are_written_in_rows_of_bounded_size(database, watcher, outbox):
    """So that whoever reads them needs no more memory than for a part."""
    database.execute("create table t (id int)")
    watcher.watch("t", keys=["item:{id}"])
    database.execute("insert into t select generate_series(1, 2500)")
    assert outbox.rows() == 3
    assert len(outbox.take()["keys"]) == 2500


def test_partitions_are_watched_with_their_parent(database, watcher, outbox):
    """By whichever name a statement calls them; a row that moves has both its keys."""
    database.execute(
        "create table m (region text, id int) partition by list (region);"
        "create table m_de partition of m for values in ('DE');"
        "create table m_rest partition of m default"
    )
    watcher.watch("m", keys=["m:{region}:{id}"])
    assert [watch.table for watch in watcher.watches()] == ["public.m"]
    database.execute("insert into m values ('DE', 1), ('FR', 2)")
    assert outbox.take() == {"keys": ["m:DE:1", "m:FR:2"]}
    database.execute("update m set region = 'FR' where region = 'DE'")
    assert outbox.take() == {"keys": ["m:DE:1", "m:FR:1"]}
    database.execute("insert into m_de values ('DE', 3)")
    assert outbox.take() == {"keys": ["m:DE:3"]}
    database.execute("truncate m_de")
    assert outbox.take() == {"patterns": ["m:*"]}
    assert watcher.unwatch("m") == 1
    database.execute("insert into m_de values ('DE', 4)")
    assert outbox.take() == {}


def test_what_cascades_is_named_too(database, watcher, outbox):
    """The rows that a foreign key deletes are deleted by a statement like any other."""
    database.execute(
        "create table parent (id int primary key);"
        "create table child (id int, parent int references parent on delete cascade);"
        "insert into parent values (1); insert into child values (10, 1), (11, 1)"
    )
    watcher.watch("child", keys=["child:{id}"])
    database.execute("delete from parent")
    assert outbox.take() == {"keys": ["child:10", "child:11"]}


def test_any_role_may_write_and_none_needs_to_know(database, factors, outbox):
    """Neither the schema nor the outbox; and who may not, cannot invalidate by hand."""
    role = f"writer_{secrets.token_hex(4)}"
    database.execute(f"create role {role}; grant insert on factors to {role}")
    try:
        with database.transaction():
            database.execute(f"set local role {role}")
            database.execute("insert into factors values ('IT', 'co2', 1)")
        assert outbox.take() == named("IT:co2")
        database.execute(f"set role {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute("select greencache.invalidate('shop', array['a'])")
    finally:
        database.execute(f"reset role; revoke all on factors from {role}; drop role {role}")


def test_the_settings_of_a_session_change_no_key(database, watcher, outbox):
    """Neither how it writes dates, nor where it is, nor how it reads backslashes, nor what it finds first."""
    database.execute("create table t (d date, at timestamptz, n numeric, x text)")
    watcher.watch("t", keys=["t:{d}|{at}|{n}|{x}"], tags=["back\\slash:{x}"])
    for setting in (
        "datestyle = 'German, DMY'", "timezone = 'Asia/Tokyo'", "standard_conforming_strings = off",
        "search_path = pg_temp", "extra_float_digits = -15", "session_replication_role = replica",
    ):  # fmt: skip
        database.execute(f"set {setting}")
        database.execute(
            "insert into public.t values ('2024-02-01', '2024-02-01 12:00:00+02', 1.50, %s)", ["\\'"]
        )
        found = outbox.take()
        assert found["keys"] == ["t:2024-02-01|2024-02-01T10%3A00%3A00+00%3A00|1.50|\\'"], setting
        assert found["tags"] == ["back\\slash:\\'"], setting


def test_a_watch_that_no_longer_fits_invalidates_everything(database, factors, outbox):
    """A renamed column makes no write fail, and leaves nothing that is outdated; the writer is told."""
    notices = []
    database.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    database.execute("alter table factors rename column region to area")
    database.execute("insert into factors values ('IT', 'co2', 1)")
    assert outbox.take() == EVERYTHING
    assert "watch table public.factors again" in notices[0]


def test_columns_may_be_called_otherwise(database, watcher, outbox):
    """Than the fields; and like anything that the trigger's own code uses."""
    names = ["found_names", "all_keys", "Region Code", 'a"b', "tg_op", "text", "%s", "{x}"]
    columns = ", ".join('"' + name.replace('"', '""') + '" text' for name in names)
    database.execute(f"create table t ({columns})")
    template = ":".join(f"{{f{number}}}" for number in range(len(names)))
    watcher.watch("t", keys=[template], columns={f"f{number}": name for number, name in enumerate(names)})
    database.execute("insert into t values ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')")
    assert outbox.take() == {"keys": ["a:b:c:d:e:f:g:h"]}


HOSTILE = [
    "'; drop table victim; --",
    '"; drop table victim; --',
    "$body$; drop table victim; $body$",
    "\\'; drop table victim; --",
    "%(x)s %s %%",
    "{}",
    "*?\\[a]",
    "\n\t\u2028é😀",
]


def test_no_name_becomes_sql(database, watcher, outbox):
    """Neither that of a table or column, nor a template, nor a value; each is taken as it is."""
    database.execute("create table victim ()")
    for text in HOSTILE:
        quoted = '"' + text.replace('"', '""').replace("%", "%%") + '"'
        database.execute(f"create table {quoted} ({quoted} text)", [])
        braced = text.replace("{", "{{").replace("}", "}}")
        template = f"k{braced}:{{f}}"
        watcher.watch(text, keys=[template], tags=[braced, "t:{f}"], columns={"f": text})
        database.execute(f"insert into {quoted} values (%s)", [text])
        found = outbox.take()
        assert found["keys"] == [Template(template).format(f=text)]
        assert found["tags"] == sorted([text, Template("t:{f}").format(f=text)])
        database.execute(f"truncate {quoted}", [])
        assert outbox.take() == EVERYTHING
        assert [watch.columns for watch in watcher.watches()] == [{"f": text}]
        assert watcher.unwatch(text) == 1
    assert database.execute("select to_regclass('victim') is not null").fetchone() == (True,)


REFUSED = {
    "no such table": (("nowhere", {"keys": ["a:{id}"]}), "expected a table nowhere"),
    "a view": (("v", {"keys": ["a:{id}"]}), "got a view"),
    "no such column": (("t", {"keys": ["a:{other}"]}), "other"),
    "a float": (("t", {"keys": ["a:{f}"]}), "double precision"),
    "a char(n)": (("t", {"keys": ["a:{c}"]}), "bpchar"),
    "json": (("t", {"keys": ["a:{j}"]}), "jsonb"),
    "neither keys nor tags": (("t", {}), "neither"),
    "one text": (("t", {"keys": "a:{id}"}), "list"),
    "no template": (("t", {"keys": ["a:{}"]}), "template"),
    "a long beginning": (("t", {"keys": ["a" * 1000 + ":{id}"]}), "bytes before"),
    "a column for no field": (("t", {"keys": ["a:{id}"], "columns": {"x": "id"}}), "x"),
    "three parts": (("a.b.c", {"keys": ["a:{id}"]}), "schema.name"),
    "a limit of none": (("t", {"keys": ["a:{id}"], "limit": 0}), "limit"),
    "a table of the system": (("pg_catalog.pg_class", {"keys": ["a:{relname}"]}), "name"),
}


def test_what_cannot_work_is_refused_when_it_is_asked_for(database, watcher):
    """With what was expected; and nothing is left of the attempt."""
    database.execute(
        "create table t (id int, f float8, c char(3), j jsonb); create view v as select * from t"
    )
    for what, ((table, options), message) in REFUSED.items():
        with pytest.raises(ConfigurationError, match=re.escape(message)):
            pytest.fail(f"{what} was accepted: {watcher.watch(table, **options)}")
    assert watcher.watches() == []
    assert _left(database) == 0


def _left(database):
    """Return how many triggers and functions of watches there are."""
    triggers = "select count(*) from pg_trigger where tgname like 'greencache%'"
    functions = "select count(*) from pg_proc where proname like 'watch\\_%'"
    return sum(database.execute(query).fetchone()[0] for query in (triggers, functions))


def test_unwatch_removes_everything(database, watcher, factors):
    """Triggers and functions; of one namespace unless all are meant, and what dropped tables have left."""
    with TableWatcher(watcher._manager, namespace="other") as other:
        other.watch("factors", keys=["f:{region}"])
        database.execute("create table gone (id int)")
        other.watch("gone", tags=["gone"])
        database.execute("drop table gone")
        assert len(watcher.watches()) == 3
        assert watcher.unwatch("factors") == 1
        assert [(each.namespace, each.keys) for each in watcher.watches()] == [("other", ("f:{region}",))]
        assert watcher.unwatch("factors", all_namespaces=True) == 1
        assert watcher.unwatch("factors") == 0
        assert _left(database) == 0


def test_watching_again_replaces_the_watch(database, watcher, factors, outbox):
    """Also after the table was renamed."""
    database.execute("alter table factors rename to facts")
    watch = watcher.watch("facts", keys=["fact:{region}"], notify=False, limit=7)
    assert watcher.watches() == [watch]
    database.execute("delete from facts where region = 'DE'")
    assert outbox.take() == {"keys": ["fact:DE"]}


def test_a_watch_waits_for_writers_no_longer_than_told(connect, watcher, factors):
    """Whoever comes after it waits behind it."""
    writer = connect(autocommit=False)
    writer.execute("insert into factors values ('IT', 'co2', 1)")
    tables = WatchedTables(watcher._manager, lock_timeout=0.1)
    with pytest.raises(TierUnavailableError, match="lock"):
        tables.install(TableWatch(table="factors", namespace=NAMESPACE, keys=("f:{region}",)))
    assert [watch.keys for watch in watcher.watches()] == [("factor:{region}:{metric}",)]


def test_sql_can_invalidate_by_hand(database, outbox):
    """With the same function, which refuses what no cache could hold."""
    database.execute(
        "select greencache.invalidate('shop', array['a', null, 'b'], tags => array['t']),"
        " greencache.invalidate('shop', patterns => array['u:*']), greencache.invalidate('shop')"
    )
    assert outbox.take() == {"keys": ["a", "b"], "tags": ["t"], "patterns": ["u:*"]}
    database.execute("select greencache.invalidate('shop', array['a'], everything => true)")
    assert outbox.take() == EVERYTHING
    for call in (
        "'sh op', array['a']",
        "null, array['a']",
        "'shop', array['']",
        "'shop', array[repeat('a', 1025)]",
    ):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            database.execute(f"select greencache.invalidate({call})")


def test_migrations_may_be_run_again_and_by_many(postgres_url):
    """One applies them, the others find the work done."""
    with contextlib.ExitStack() as stack:
        watchers = [stack.enter_context(TableWatcher(postgres_url)) for _ in range(4)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            applied = list(pool.map(lambda watcher: watcher.migrate(), watchers))
        assert sorted(applied) == [[], [], [], migration_names()]
