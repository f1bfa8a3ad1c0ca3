"""Refreshes of materialized views: what they change is told, and everything else stays."""

import threading

import psycopg
import pytest
from psycopg import sql

from greencache import CacheManager, RefreshPolicy, ViewSpec
from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_view import PostgresView
from greencache.backends.postgres_view_refresh import _MOST_KEYS
from greencache.clock import SystemClock
from greencache.entry import Entry
from greencache.errors import ConfigurationError, TierUnavailableError
from greencache.events import EventKind
from greencache.stats import TierCounters
from greencache.testing import wait_until
from greencache.tiers.base import Status
from greencache.tiers.view import ViewTier

QUERY = "select region, year, amount from source"
FACTOR = ViewSpec(name="factor", template="factor:{region}:{year}", value="amount", query=QUERY)
SOURCE = """
create table source (region text, year int, amount numeric);
insert into source values ('AT', 2020, 1), ('DE', 2020, 2), ('FR', 2020, 3), (null, 2020, 4);
"""
OUTBOX = "select keys, patterns, is_refresh from greencache.outbox where namespace = %s order by id"


class Events(list):
    """A recorder that remembers."""

    record = list.append


@pytest.fixture
def database(postgres_url):
    """A connection to a database with a source, as any SQL client has it."""
    with psycopg.connect(postgres_url, autocommit=True, options="-c search_path=public") as connection:
        connection.execute(SOURCE)
        yield connection


@pytest.fixture
def make_tier(postgres_url, database):
    """Make tiers that have installed their views."""
    managers = []

    def make(*specs, namespace="test", recorder=None, connecting=None, **options):
        # The tests' user is called as our schema is, and would find that first.
        url = postgres_url + "?options=-csearch_path%3Dpublic"
        manager = PostgresManager(url, timeout=5, **(connecting or {}))
        managers.append(manager)
        tier = ViewTier(
            manager,
            specs or (FACTOR,),
            namespace=namespace,
            clock=SystemClock(),
            counters=TierCounters(),
            recorder=Events() if recorder is None else recorder,
            **options,
        )
        tier.install()
        return tier

    yield make
    for manager in managers:
        manager.close()


def told(database, namespace="test"):
    """Return the keys and patterns that wait to be told, and forget them."""
    rows = database.execute(OUTBOX, [namespace]).fetchall()
    assert all(is_refresh for *_, is_refresh in rows)
    database.execute("delete from greencache.outbox where namespace = %s", [namespace])
    return {key for keys, _, _ in rows for key in keys}, {each for _, some, _ in rows for each in some}


def values(tier, *keys):
    """Return what the tier has under keys."""
    return {key: entry.value for key, entry in tier.get_many(keys).items()}


# -- what has changed ----------------------------------------------------------------------------------


def test_exactly_the_keys_that_have_another_row_are_told(make_tier, database):
    """Changed, added, removed, and both keys where a key itself was changed."""
    tier = make_tier()
    database.execute("delete from greencache.outbox")
    database.execute("update source set amount = 10 where region = 'AT'")
    database.execute("update source set region = 'CH' where region = 'DE'")
    database.execute("insert into source values ('IT', 2020, 5)")
    refresh = tier.refresh("factor")
    expected = {f"factor:{region}:2020" for region in ("AT", "DE", "CH", "IT")}
    assert (refresh.changed, set(refresh.keys), refresh.patterns) == (4, expected, ())
    assert told(database) == (expected, set())


def test_a_refresh_that_changes_nothing_tells_nothing(make_tier, database):
    """Nor does it leave rows behind."""
    tier = make_tier()
    database.execute("delete from greencache.outbox")
    database.execute("update source set amount = amount")
    refresh = tier.refresh("factor")
    assert (refresh.is_done, refresh.changed, refresh.keys) == (True, 0, ())
    assert told(database) == (set(), set())


def test_more_keys_than_can_be_told_are_told_by_their_pattern(make_tier, database):
    """Likewise where it is not known which rows are other ones."""
    tier = make_tier()
    database.execute("delete from greencache.outbox")
    database.execute(
        "insert into source select 'R' || n, 2020, n from generate_series(0, %s) as n", [_MOST_KEYS]
    )
    assert tier.refresh("factor").changed == _MOST_KEYS + 1
    assert told(database) == (set(), {"factor:*"})
    plain = tier.refresh("factor", concurrently=False)
    assert (plain.changed, plain.patterns) == (None, ("factor:*",))
    assert told(database) == (set(), {"factor:*"})


def test_every_reader_of_a_view_is_told_its_own_keys(make_tier, database):
    """By exact keys in the namespace that refreshes, and by pattern in others."""
    by_year = ViewSpec(name="factor", template="y:{year}:{region}", value="amount")
    other = make_tier(ViewSpec(name="factor", template="o[*]:{region}:{year}", value="amount"), namespace="b")
    tier = make_tier(FACTOR, by_year)
    database.execute("delete from greencache.outbox")
    database.execute("update source set amount = 0 where region = 'AT'")
    tier.refresh("factor")
    assert told(database) == ({"factor:AT:2020", "y:2020:AT"}, set())
    assert told(database, "b") == (set(), {"o[\\*]:*"})
    assert values(other, "o[*]:AT:2020") == {"o[*]:AT:2020": 0}


def test_texts_of_all_kinds_are_told(make_tier, database):
    """As the keys that they are read by."""
    regions = [
        "quote'",
        'double"',
        "%",
        "%s",
        "back\\slash",
        "}{",
        "ü漢字🦆",
        "'; drop table source; --",
        "a:b",
    ]
    tier = make_tier()
    database.execute("delete from greencache.outbox")
    for region in regions:
        database.execute("insert into source values (%s, 1, 1)", [region])
    refresh = tier.refresh("factor")
    keys, _ = told(database)
    assert keys == {FACTOR.keys.format(region=region, year=1) for region in regions}
    assert set(values(tier, *refresh.keys)) == keys


def test_every_refresh_is_on_record(make_tier, database):
    """When, how long, how many keys, and what went wrong; the last hundred."""
    tier = make_tier()
    database.execute("update source set amount = amount + 1 where region is not null")
    tier.refresh("factor")
    query = "select began, seconds, changed, error from greencache.view_history order by id"
    first, second = database.execute(query).fetchall()
    assert first[0] < second[0]
    assert (first[2], second[2]) == (None, 3)
    assert second[1] > 0
    database.execute(
        "insert into greencache.view_history (view, began)"
        " select 'public.factor', now() from generate_series(1, 200)"
    )
    tier.refresh("factor")
    assert database.execute("select count(*) from greencache.view_history").fetchone() == (100,)


def test_a_database_that_is_stricter_by_default_changes_nothing(make_tier, database):
    """Each statement of a refresh must see what was committed before it."""
    name = sql.Identifier(database.info.dbname)
    strict = sql.SQL("alter database {} set default_transaction_isolation = 'serializable'")
    database.execute(strict.format(name))
    tier = make_tier(connecting={"statement_timeout": None})
    database.execute("update source set amount = 9 where region = 'AT'")
    tier.drop_many(["factor:AT:2020"])
    assert (tier.refresh("factor").changed, values(tier, "factor:AT:2020")) == (1, {"factor:AT:2020": 9})


# -- through the whole cache ---------------------------------------------------------------------------


@pytest.fixture
def make_cache(redis_servers, postgres_url, database):
    """Make caches over one L3 and the database."""
    caches, l3 = [], redis_servers().url

    def make(*views, **options):
        url = postgres_url + "?options=-csearch_path%3Dpublic"
        cache = CacheManager.from_urls(l3=l3, l4=url, namespace="shop", views=views or [FACTOR], **options)
        caches.append(cache)
        return cache.initialize(strict=True)

    yield make
    for cache in caches:
        cache.close()


def test_a_refresh_reaches_the_l1_of_other_processes(make_cache, database):
    """And of its own: the changed key at once, others are not touched; the view itself hides nothing."""
    here, there = make_cache(), make_cache()
    keys = ["factor:AT:2020", "factor:DE:2020"]
    for cache in (here, there):
        assert cache.mget(keys) == {keys[0]: 1, keys[1]: 2}
    database.execute("update source set amount = 9 where region = 'AT'")
    assert here.refresh_view("factor") is True
    assert here.get(keys[0]) == 9
    wait_until(lambda: there.get(keys[0]) == 9, deadline=10, reason="the other process has heard")
    assert there._engine.stack.memory.get_many(keys[1:]), "what has not changed stays"
    assert database.execute("select count(*) from greencache.view_drops").fetchone() == (0,)


def test_a_refresh_by_itself_is_heard_through_the_outbox(make_cache, database):
    """By every process and tier, the key-value table too; and the view goes on answering."""
    here, there = make_cache(), make_cache()
    assert here.mget(["factor:AT:2020", "factor:FR:2020"]) == {"factor:AT:2020": 1, "factor:FR:2020": 3}
    assert there.get("factor:AT:2020") == 1
    database.execute("update source set amount = 9 where region = 'AT'")
    database.execute("delete from source where region = 'FR'")
    table = here._engine.stack.shared[2].tier
    table.put_many({"factor:FR:2020": Entry(3, SystemClock.now() + 60, SystemClock.now() + 60)})
    assert here._engine.stack.shared[1].tier.refresh("factor").is_done
    for cache in (here, there):
        wait_until(
            lambda cache=cache: cache.mget(["factor:AT:2020", "factor:FR:2020"]) == {"factor:AT:2020": 9},
            deadline=20,
            reason="it is heard",
        )
    assert database.execute("select count(*) from greencache.view_drops").fetchone() == (0,)


def test_what_was_read_before_a_refresh_is_not_stored_after_it(make_cache, database):
    """A reader that saw the old row has its leases voided by what the refresh announces."""
    cache, other = make_cache(), make_cache()
    key = "factor:AT:2020"
    tier = cache._engine.stack.shared[1].tier
    read, has_read, may_go_on = tier.get_many, threading.Event(), threading.Event()

    def slow(keys):
        found = read(keys)
        has_read.set()
        assert may_go_on.wait(20)
        return found

    tier.get_many = slow
    seen = []
    reader = threading.Thread(target=lambda: seen.append(cache.get(key)))
    reader.start()
    assert has_read.wait(10)
    database.execute("update source set amount = 9 where region = 'AT'")
    tier.get_many = read
    # As it is done by itself: only the outbox tells of it.
    assert other._engine.stack.shared[1].tier.refresh("factor").is_done
    query = "select count(*) from greencache.outbox"
    wait_until(lambda: database.execute(query).fetchone() == (0,), deadline=20, reason="all have heard")
    may_go_on.set()
    reader.join(10)
    assert seen == [1], "it began before"
    assert cache.get(key) == 9
    assert other.get(key) == 9


# -- views beneath views -------------------------------------------------------------------------------


def test_a_drop_is_covered_only_when_the_views_beneath_have_seen_the_change(make_tier, database):
    """A refresh of the upper view alone brings the old row again, which must stay hidden."""
    upper = ViewSpec(
        name="upper", template="upper:{region}", value="total", after=["factor"],
        query="select region, sum(amount) as total from (select * from factor) as f group by region",
    )  # fmt: skip
    tier = make_tier(upper, FACTOR)
    assert tier.views == ("factor", "upper")
    database.execute("update source set amount = 100 where region = 'AT'")
    tier.drop_many(["upper:AT", "factor:AT:2020"])
    assert tier.refresh("upper").forgotten == 0
    assert values(tier, "upper:AT", "upper:DE") == {"upper:DE": 2}
    assert tier.refresh("factor").forgotten == 1
    assert values(tier, "upper:AT", "factor:AT:2020") == {"factor:AT:2020": 100}
    assert tier.refresh("upper").forgotten == 1
    assert values(tier, "upper:AT") == {"upper:AT": 100}


def test_a_view_is_as_old_as_what_it_is_made_of(make_tier, database):
    """Its own refresh makes the contents of an old view no younger; of a strange one no age is known."""
    database.execute("create materialized view strange as select 1 as id")
    make_tier(FACTOR)
    database.execute("create view between_them as select * from factor")
    upper = ViewSpec(
        name="upper", template="upper:{region}", value="amount", after=["factor"], max_age=60,
        query="select region, amount from between_them where region is not null",
    )  # fmt: skip
    odd = ViewSpec(name="odd", template="odd:{id}", value="id", max_age=60, query="select id from strange")
    tier = make_tier(upper, FACTOR, odd)
    assert set(values(tier, "upper:AT", "odd:1")) == {"upper:AT"}
    database.execute(
        "update greencache.view_refreshes set as_of = as_of - interval '61 s' where view = 'public.factor'"
    )
    tier.refresh("upper")
    assert values(tier, "upper:AT") == {}
    tier.refresh("factor")
    tier.refresh("upper")
    assert set(values(tier, "upper:AT")) == {"upper:AT"}
    health = tier.check()
    assert health.status is Status.DEGRADED
    assert "expected odd to be at most 60 s old, got it never refreshed" in health.error


# -- past its age --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("when_old", "value"), [("load", None), ("query", 9), ("serve", 1)])
def test_past_its_age_a_view_does_as_declared(make_tier, database, when_old, value):
    """The key is absent, its source is queried, or the old row is served, for a second."""
    spec = ViewSpec(
        name="factor", template="factor:{region}:{year}", value="amount", max_age=60, when_old=when_old,
        query=QUERY + " -- of all years;",
    )  # fmt: skip
    tier = make_tier(spec)
    key = "factor:AT:2020"
    assert values(tier, key) == {key: 1}
    database.execute("update source set amount = 9 where region = 'AT'")
    database.execute("update greencache.view_refreshes set as_of = now() - interval '61 s'")
    found = tier.get_many([key, "factor:XX:2020"])
    assert {name: entry.value for name, entry in found.items()} == ({} if value is None else {key: value})
    for entry in found.values():
        left = entry.fresh_until - SystemClock.now()
        assert left <= (1 if when_old == "serve" else 60)


# -- events --------------------------------------------------------------------------------------------


def wishes(database):
    """Return the views that are to be refreshed."""
    return {view for (view,) in database.execute("select view from greencache.view_wishes")}


def on_change(**options):
    """Return the view, refreshed when its source changes."""
    return ViewSpec(
        name="factor", template="factor:{region}:{year}", value="amount", query=QUERY,
        refresh=RefreshPolicy(on=["source"], **options),
    )  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "insert into source values ('IT', 2020, 5)",
        "update source set amount = 0",
        "delete from source",
        "truncate source",
        "copy source from program 'true'",
        "merge into source using (select 1) as s on region = 'AT' when matched then delete",
    ],
)
def test_each_kind_of_change_makes_a_view_due(make_tier, database, statement):
    """Once it is committed; one that is rolled back does not."""
    make_tier(on_change())
    with database.transaction(force_rollback=True):
        database.execute(statement)
    assert wishes(database) == set()
    database.execute(statement)
    assert wishes(database) == {"public.factor"}


def test_many_changes_make_one_refresh(make_tier, database):
    """What was committed before it is covered, what comes during it is not."""
    tier = make_tier(on_change())
    with database.transaction():
        for number in range(50):
            database.execute("update source set amount = %s where region = 'AT'", [number])
    database.execute("update source set amount = 9 where region = 'AT'")
    assert database.execute("select count(*) from greencache.view_wishes").fetchone() == (2,)
    [chore] = tier.chores
    chore.attempt()
    assert (wishes(database), values(tier, "factor:AT:2020")) == (set(), {"factor:AT:2020": 9})
    before = database.execute("select count(*) from greencache.view_history").fetchone()
    chore.attempt()
    assert database.execute("select count(*) from greencache.view_history").fetchone() == before


def test_a_change_that_is_open_while_the_view_is_refreshed_makes_it_due_again(
    make_tier, database, postgres_url
):
    """The refresh has not seen it."""
    tier = make_tier(on_change())
    with psycopg.connect(postgres_url, options="-c search_path=public") as writer:
        writer.execute("update source set amount = 7 where region = 'AT'")
        database.execute("update source set amount = 8 where region = 'DE'")
        [chore] = tier.chores
        chore.attempt()
        assert values(tier, "factor:AT:2020", "factor:DE:2020") == {"factor:AT:2020": 1, "factor:DE:2020": 8}
    assert wishes(database) == {"public.factor"}
    chore.attempt()
    assert values(tier, "factor:AT:2020") == {"factor:AT:2020": 7}


def test_partitions_make_a_view_due_too_and_no_writer_waits_for_another(make_tier, database, postgres_url):
    """A statement may name a partition; and two writers may be under way at once."""
    database.execute("create table parts (id int, v int) partition by list (id)")
    database.execute("create table one partition of parts for values in (1)")
    spec = ViewSpec(
        name="of_parts", template="part:{id}", value="v", query="select * from parts",
        refresh=RefreshPolicy(on=["parts"]),
    )  # fmt: skip
    make_tier(spec)
    with psycopg.connect(postgres_url, options="-c search_path=public -c lock_timeout=5000") as writer:
        writer.execute("insert into one values (1, 1)")
        database.execute("insert into parts values (1, 2)")
        assert wishes(database) == {"public.of_parts"}
    assert database.execute("select count(*) from greencache.view_wishes").fetchone() == (2,)


def test_tables_that_are_no_longer_declared_make_nothing_due(make_tier, database):
    """Installed again, the triggers are as declared by then."""
    database.execute("create table extra (id int)")
    declared = on_change()
    make_tier(ViewSpec(name="factor", template="f:{region}:{year}", value="amount", query=QUERY,
                       refresh=RefreshPolicy(on=["source", "extra"])))  # fmt: skip
    make_tier(declared)
    make_tier(declared)
    database.execute("insert into extra values (1)")
    assert wishes(database) == set()
    database.execute("delete from source")
    assert wishes(database) == {"public.factor"}


@pytest.mark.parametrize(
    "table", ["missing", "a_view", "pg_temp.scratch", "x\0y", "a.b.c", "source; drop table source"]
)
def test_what_is_no_table_cannot_make_a_view_due(make_tier, database, table):
    """Said when it is installed, by name; nothing of it is run."""
    database.execute("create view a_view as select 1 as id")
    spec = ViewSpec(name="v", template="v:{id}", value="id", query="select 1 as id",
                    refresh=RefreshPolicy(on=[table]))  # fmt: skip
    with pytest.raises(ConfigurationError, match="expected"):
        make_tier(spec)
    assert database.execute("select to_regclass('source') is not null").fetchone() == (True,)


def test_a_view_makes_those_due_that_are_made_of_it(make_tier, database):
    """In the same transaction, and only when it has changed; then they are refreshed in order."""
    upper = ViewSpec(
        name="upper", template="upper:{region}", value="amount", refresh=RefreshPolicy(on=["factor"]),
        query="select region, amount from factor where region is not null",
    )  # fmt: skip
    tier = make_tier(upper, on_change())
    [chore] = tier.chores
    chore.attempt()
    assert wishes(database) == set()
    database.execute("update source set amount = 5 where region = 'AT'")
    chore.attempt()
    assert values(tier, "upper:AT") == {"upper:AT": 5}
    assert wishes(database) == set()


# -- names ---------------------------------------------------------------------------------------------


def spelled(name, template="factor:{region}:{year}", **options):
    """Return a spec of the view, which is called by one of its names."""
    return ViewSpec(name=name, template=template, value="amount", query=QUERY, **options)


def test_a_view_is_one_however_processes_spell_it(make_tier, database):
    """What one drops, hides it from the other; what one refreshes, the other need not."""
    due = RefreshPolicy(on=["source"])
    short, whole = make_tier(spelled("factor", refresh=due)), make_tier(spelled("public.factor", refresh=due))
    short.drop_many(["factor:AT:2020"])
    assert values(whole, "factor:AT:2020", "factor:DE:2020") == {"factor:DE:2020": 2}
    database.execute("update source set amount = 5 where region = 'AT'")
    assert wishes(database) == {"public.factor"}
    query = "select count(*) from greencache.view_history"
    [before] = database.execute(query).fetchone()
    for tier in (short, whole):
        tier.chores[0].attempt()
        assert values(tier, "factor:AT:2020") == {"factor:AT:2020": 5}
    assert database.execute(query).fetchone() == (before + 1,)
    triggers = "select count(*) from pg_trigger where tgrelid = 'source'::regclass and not tgisinternal"
    assert database.execute(triggers).fetchone() == (1,)


def test_a_view_that_one_cache_spells_in_two_ways_is_refreshed_once_for_both(make_tier, database):
    """Each of those that read it is told its own keys."""
    due = RefreshPolicy(on=["source"])
    tier = make_tier(
        spelled("factor", refresh=due), spelled("public.factor", "whole:{region}:{year}", refresh=due)
    )
    database.execute("delete from greencache.outbox")
    database.execute("update source set amount = 5 where region = 'AT'")
    query = "select count(*) from greencache.view_history"
    [before] = database.execute(query).fetchone()
    [chore] = tier.chores
    chore.attempt()
    assert database.execute(query).fetchone() == (before + 1,)
    assert told(database) == ({"factor:AT:2020", "whole:AT:2020"}, set())
    found = {"factor:AT:2020": 5, "whole:AT:2020": 5}
    assert values(tier, *found) == found


def test_two_spellings_that_contradict_each_other_are_refused(make_tier):
    """As soon as the database says that they are of one view."""
    with pytest.raises(ConfigurationError, match="several that differ"):
        make_tier(
            spelled("factor", refresh=RefreshPolicy(every=60)),
            spelled("public.factor", "whole:{region}:{year}", refresh=RefreshPolicy(every=90)),
        )


def test_what_was_noted_under_a_short_name_counts(make_tier, database, monkeypatch):
    """Drops, readers, wishes and triggers of who knew views by their bare names."""
    with monkeypatch.context() as former:
        former.setattr(PostgresView, "known_as", lambda view, _session=None: view.name)
        tier = make_tier(on_change())
        tier.drop_many(["factor:AT:2020"])
        database.execute("update source set amount = 5 where region = 'AT'")
        assert wishes(database) == {"factor"}
    database.execute("delete from greencache.migrations where name like '0007%'")
    tier = make_tier(on_change())
    assert values(tier, "factor:AT:2020", "factor:DE:2020") == {"factor:DE:2020": 2}
    assert wishes(database) == {"public.factor"}
    tier.chores[0].attempt()
    assert values(tier, "factor:AT:2020") == {"factor:AT:2020": 5}
    database.execute("update source set amount = 6 where region = 'AT'")
    assert wishes(database) == {"public.factor"}


def test_who_looked_before_another_has_refreshed_does_nothing(make_tier, database):
    """With the lock in hand it looks once more; else each process of a fleet would refresh in its turn."""
    policy = RefreshPolicy(on=["source"])
    one, other = make_tier(on_change()), make_tier(on_change())
    query = "select extract(epoch from refreshed_at)::text from greencache.view_refreshes"
    [seen] = database.execute(query).fetchone()
    assert other._keeper._refresh_due("factor", policy, seen).is_done is True
    assert one._keeper._refresh_due("factor", policy, seen).is_done is False
    assert database.execute("select count(*) from greencache.view_history").fetchone() == (2,)
    [now] = database.execute(query).fetchone()
    assert one._keeper._refresh_due("factor", policy, now).is_done is True


def test_who_finds_the_lock_taken_does_nothing(make_tier, postgres_url):
    """Another process is refreshing; nobody waits for it."""
    tier = make_tier()
    with psycopg.connect(postgres_url) as holder:
        holder.execute("select pg_advisory_xact_lock(hashtextextended('greencache view public.factor', 0))")
        assert tier.refresh("factor").is_done is False
    assert tier.refresh("factor").is_done is True


# -- what goes wrong -----------------------------------------------------------------------------------


def test_a_refresh_that_fails_is_told_once_and_tried_later(make_tier, database):
    """The last good contents stay; health says why; no process tries again for a while."""
    events = Events()
    tier = make_tier(on_change(), recorder=events)
    database.execute("insert into source values ('AT', 2020, 99)")
    [chore] = tier.chores
    chore.attempt()
    chore.attempt()
    assert values(tier, "factor:AT:2020") == {"factor:AT:2020": 1}
    assert [event.kind for event in events] == [EventKind.REFRESH_FAILED]
    health = tier.check()
    assert health.status is Status.DEGRADED
    assert "factor could not be refreshed, 1 times now" in health.error
    failed = "select error like '%%duplicate%%' from greencache.view_history where error <> ''"
    assert database.execute(failed).fetchall() == [(True,)]
    database.execute("delete from source where amount = 99")
    database.execute("update greencache.view_refreshes set retry_at = now()")
    chore.attempt()
    assert tier.check().status is Status.UP


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("drop materialized view factor", "got none of that name"),
        ("drop index {index}", "expected a unique index"),
    ],
)
def test_a_view_that_is_not_as_described_is_not_refreshed(make_tier, database, statement, message):
    """Missing, or without its unique index: said by health, and by what is recorded."""
    events = Events()
    tier = make_tier(on_change(), recorder=events)
    [index] = database.execute("select indexname from pg_indexes where tablename = 'factor'").fetchone()
    database.execute(statement.format(index=index))
    database.execute("update source set amount = 5")
    [chore] = tier.chores
    chore.attempt()
    assert message in events[0].detail["error"]
    health = tier.check()
    assert (health.status, message in health.error) == (Status.DEGRADED, True)
    assert "insert into factor" not in health.error


def test_an_unpopulated_view_with_a_policy_is_filled(make_tier, database):
    """Without one, health asks for it."""
    database.execute("create materialized view mine as select 1 as id with no data")
    database.execute("create unique index on mine (id)")
    tier = make_tier(ViewSpec(name="mine", template="mine:{id}", value="id", refresh=RefreshPolicy(every=60)))
    assert "expected mine to be populated" in tier.check().error
    [chore] = tier.chores
    chore.attempt()
    assert values(tier, "mine:1") == {"mine:1": 1}
    assert tier.check().status is Status.UP


def test_a_database_out_of_reach_is_an_error_of_the_chore(make_tier, database):
    """Which is tried again later."""
    tier = make_tier(on_change())
    tier._manager.close()
    with pytest.raises(TierUnavailableError):
        tier.chores[0].attempt()


def test_a_manual_view_has_no_chore(make_tier):
    """It is refreshed by hand only."""
    assert make_tier().chores == ()
