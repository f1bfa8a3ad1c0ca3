"""Materialized views as a tier."""

import dataclasses
import datetime as dt
import math
import re
import threading
from decimal import Decimal

import pytest

from greencache.backends.postgres import PostgresManager
from greencache.clock import SystemClock
from greencache.errors import ConfigurationError, InvalidArgumentError, InvalidKeyError, TierUnavailableError
from greencache.events import EventKind
from greencache.keys import Pattern, Template
from greencache.stats import TierCounters
from greencache.testing import FakeClock, wait_until
from greencache.tiers.base import Status
from greencache.tiers.view import ViewSpec, ViewTier

FACTOR = ViewSpec(name="factor", template="factor:{region}:{year}", value="amount")
SOURCE = b"""
create table source (region text, year int, amount numeric, unit text);
insert into source values ('AT', 2020, 1.50, 'g'), ('DE', 2020, 2.25, 'kg'), ('DE', 2021, null, 't');
"""
VIEW = b"create materialized view factor as select * from source"
QUERY = "select * from source"
REGIONS = [
    "quote'",
    'double"',
    "%",
    "_",
    "back\\slash",
    "}{",
    "%00",
    "ü漢字🦆",
    "'; drop table source; --",
    "a:b#c",
    "≤1980",
]


class Events(list):
    """A recorder that remembers."""

    record = list.append

    def kinds(self):
        """Return what was recorded."""
        return [event.kind for event in self]


@dataclasses.dataclass(frozen=True)
class Amount:
    """A row type."""

    amount: Decimal | None
    unit: str


@pytest.fixture
def manager(postgres_url):
    """A manager on a database with source data."""
    manager = PostgresManager(postgres_url, timeout=5)
    manager.execute(SOURCE)
    yield manager
    manager.close()


@pytest.fixture
def make_tier(manager):
    """Make tiers that read views of the database."""

    def make(*specs, clock=None, events=None):
        return ViewTier(
            manager,
            specs or (FACTOR,),
            namespace="test",
            clock=clock or SystemClock(),
            counters=TierCounters(),
            recorder=Events() if events is None else events,
        )

    return make


@pytest.fixture
def tier(make_tier):
    """A tier with a view of the source."""
    tier = make_tier()
    tier.create_view("factor", QUERY)
    return tier


def values(tier, *keys):
    """Return what the tier has under keys."""
    return {key: entry.value for key, entry in tier.get_many(keys).items()}


def change(manager, amount, region="AT"):
    """Correct the source, as somebody with an SQL client does."""
    manager.execute(b"update source set amount = %s where region = %s", [amount, region])


# -- reading -------------------------------------------------------------------------------------------


def test_a_batch_is_read_by_its_key_columns(tier):
    """Values are typed, NULL is a value, what has no row is absent, and other keys are not ours."""
    found = values(
        tier,
        "factor:AT:2020",
        "factor:DE:2020",
        "factor:DE:2021",
        "factor:FR:2020",
        "factor:AT",
        "user:1",
        "",
    )
    assert found == {
        "factor:AT:2020": Decimal("1.50"),
        "factor:DE:2020": Decimal("2.25"),
        "factor:DE:2021": None,
    }


def test_columns_make_a_dictionary_or_a_row_type(make_tier):
    """As the spec says; a dataclass names its own columns."""
    both = ViewSpec(name="factor", template="both:{region}:{year}", value=("amount", "unit"))
    row = ViewSpec(name="factor", template="row:{place}:{year}", columns={"place": "region"}, row=Amount)
    tier = make_tier(FACTOR, both, row)
    tier.create_view("factor", QUERY)
    assert values(tier, "both:AT:2020", "row:AT:2020", "factor:AT:2020") == {
        "both:AT:2020": {"amount": Decimal("1.50"), "unit": "g"},
        "row:AT:2020": Amount(Decimal("1.50"), "g"),
        "factor:AT:2020": Decimal("1.50"),
    }


def test_a_row_that_the_row_type_refuses_is_absent(make_tier):
    """Counted and recorded; the other rows are read."""

    def row(amount):
        return 1 / amount

    events = Events()
    tier = make_tier(dataclasses.replace(FACTOR, value=("amount",), row=row), events=events)
    tier.create_view("factor", QUERY)
    assert set(values(tier, "factor:AT:2020", "factor:DE:2021")) == {"factor:AT:2020"}
    assert tier.counters.undecodable == 1
    assert events.kinds() == [EventKind.UNDECODABLE]


def test_a_text_that_is_no_value_of_the_columns_type_is_a_miss(make_tier, manager):
    """And spoils no batch, for types known here as for those that only the server knows."""
    manager.execute(b"create type colour as enum ('red', 'green')")
    columns = {
        "i": ("int", "7", ["x", "07", "+7", " 7", "7 ", "7.0", "1_0", "99999999999", "\u0667", "", "7\0"]),
        "n": ("numeric", "1.5", ["x", "1.50", "1,5", "NaN", "sNaN", "1E+999999"]),
        "f": ("float8", "0.1", ["x", "0.10", "1e999", "1_0.1"]),
        "b": ("bool", "True", ["true", "t", "1", "on", "yes"]),
        "u": (
            "uuid",
            "00000000-0000-0000-0000-000000000001",
            ["x", "{00000000-0000-0000-0000-000000000001}"],
        ),
        "d": ("date", "2024-02-29", ["2023-02-29", "20240229", "today", "infinity"]),
        "t": ("timestamp", "2024-02-29T12:00:00", ["2024-02-29 12:00:00", "now", "2024-02-29T25:00:00"]),
        "s": ("smallint", "1", ["40000"]),
        "c": ("colour", "red", ["blue", "", "'red'"]),
        "p": ("char(4)", "ab", ["ab  ", "abcd"]),
        "a": ("inet", "10.0.0.1", ["x", "10.0.0.1/32", "10.0.0.999"]),
    }
    specs = []
    for name, (kind, good, _) in columns.items():
        manager.execute(
            f"create table t_{name} (k {kind}, v int); insert into t_{name} values ('{good}', 1)".encode()
        )
        specs.append(ViewSpec(name=f"v_{name}", template=name + ":{k}", value="v"))
    tier = make_tier(*specs)
    for name in columns:
        tier.create_view(f"v_{name}", f"select * from t_{name}")
    good = {Template(name + ":{k}").format(k=text) for name, (_, text, _) in columns.items()}
    bad = {
        Template(name + ":{k}").format(k=text) for name, (_, _, texts) in columns.items() for text in texts
    }
    assert set(tier.get_many(bad | good)) == good


def test_only_the_rows_own_key_reads_it(make_tier, manager):
    """Equal to the database is not the same key: a drop of one would leave the other."""
    manager.execute(b"create table loose (k text, n numeric, v int)")
    manager.execute(b"insert into loose values ('a', 1.0, 1)")
    tier = make_tier(ViewSpec(name="loose_view", template="{k}:{n}", value="v"))
    tier.create_view("loose_view", "select * from loose")
    assert values(tier, "a:1", "a:1.00", "a:1.0") == {"a:1.0": 1}


def test_texts_of_all_kinds_are_read(tier, manager):
    """No region is SQL, and each is its own key."""
    for number, region in enumerate(REGIONS):
        manager.execute(b"insert into source values (%s, 1, %s, '')", [region, number])
    tier.refresh("factor")
    key = Template("factor:{region}:{year}").format
    wanted = {key(region=region, year=1): number for number, region in enumerate(REGIONS)}
    assert values(tier, *wanted) == wanted
    assert tier.drop_many(wanted) == len(REGIONS)
    assert values(tier, *wanted, "factor:AT:2020") == {"factor:AT:2020": Decimal("1.50")}


def test_names_are_quoted(make_tier, manager):
    """Of the view, its schema and its columns, in every statement."""
    manager.execute(b'create schema "sch\'%s"')
    spec = ViewSpec(
        name='sch\'%s.a "view"; --%(x)s{y}', template="q:{k}", columns={"k": 'K"%s{z}'}, value="v'%("
    )
    tier = make_tier(spec)
    assert tier.create_view(spec.name, """select 1 as "K""%s{z}", 2 as "v'%(" """) is True
    assert values(tier, "q:1") == {"q:1": 2}
    tier.drop_many(["q:1"])
    assert values(tier, "q:1") == {}
    assert tier.refresh(spec.name).is_done
    assert values(tier, "q:1") == {"q:1": 2}
    assert tier.usage().entries == 1
    assert tier.check().status is Status.UP


def test_a_batch_uses_the_unique_index(make_tier, manager):
    """Casting the keys to the columns' types, not the columns to text."""
    tier = make_tier(ViewSpec(name="big", template="big:{id}:{code}", value="id"))
    tier.create_view("big", "select id, 'c' || id as code from generate_series(1, 50000) as id")
    manager.execute(b"analyze big")
    query = tier._sources[0].layout().query
    keys = ["big:5:c5", "big:700:c700"]
    params = {"namespace": "test", "view": "big", "keys": keys, "k0": ["5", "700"], "k1": ["c5", "c700"]}
    plan = "\n".join(line for (line,) in manager.fetch(b"explain " + query, params))
    assert re.search(r"Index (Only )?Scan using \S+ on big", plan), plan
    assert "Seq Scan on big" not in plan
    assert values(tier, *keys) == {"big:5:c5": 5, "big:700:c700": 700}


def test_a_batch_may_be_larger_than_a_statement(make_tier):
    """Thousands of keys, in parts."""
    tier = make_tier(ViewSpec(name="big", template="big:{id}", value="id"))
    tier.create_view("big", "select id from generate_series(1, 2500) as id")
    keys = {f"big:{number}": number for number in range(1, 2501)}
    assert values(tier, *keys) == keys
    assert tier.drop_many(keys) == 2500
    assert values(tier, *keys) == {}


def test_the_ttl_of_the_spec_is_the_entrys(make_tier):
    """Without one, the tiers above decide."""
    clock = FakeClock()
    tier = make_tier(
        FACTOR, ViewSpec(name="factor", template="short:{region}:{year}", value="amount", ttl=30), clock=clock
    )
    tier.create_view("factor", QUERY)
    found = tier.get_many(["factor:AT:2020", "short:AT:2020"])
    assert found["factor:AT:2020"].fresh_until == math.inf
    assert found["short:AT:2020"].fresh_until == clock.now() + 30


def test_a_view_past_its_age_is_not_read(make_tier, manager):
    """Nor are its entries fresh for longer; a refresh makes it young again."""
    spec = dataclasses.replace(FACTOR, max_age=60)
    tier = make_tier(spec)
    tier.create_view("factor", QUERY)
    [entry] = tier.get_many(["factor:AT:2020"]).values()
    assert SystemClock.now() < entry.fresh_until < SystemClock.now() + 60
    manager.execute(b"update greencache.view_refreshes set as_of = now() - interval '61 s'")
    assert values(tier, "factor:AT:2020") == {}
    assert tier.check().status is Status.DEGRADED
    tier.refresh("factor")
    assert values(tier, "factor:AT:2020") == {"factor:AT:2020": Decimal("1.50")}
    manager.execute(b"delete from greencache.view_refreshes")
    assert values(tier, "factor:AT:2020") == {}
    assert "never refreshed" in tier.check().error


def test_nothing_can_be_stored(tier):
    """No lease, no fill; what is put elsewhere is no longer answered by the view."""
    assert not tier.writable
    entry = tier.get_many(["factor:AT:2020"])["factor:AT:2020"]
    assert tier.reserve_many(["factor:AT:2020"]) == {}
    assert tier.fill_many({"factor:AT:2020": entry}, {"factor:AT:2020": "lease"}) == set()
    tier.release_many({})
    assert values(tier, "factor:AT:2020")
    assert tier.put_many({"factor:AT:2020": entry}) == set()
    assert values(tier, "factor:AT:2020") == {}


# -- drops ---------------------------------------------------------------------------------------------


def test_a_dropped_key_is_absent_until_the_next_refresh(tier, make_tier, manager):
    """In every process, though the view holds its old row all the while."""
    other = make_tier()
    change(manager, 9)
    assert tier.drop_many(["factor:AT:2020", "not ours"]) == 1
    for each in (tier, other):
        assert values(each, "factor:AT:2020", "factor:DE:2020") == {"factor:DE:2020": Decimal("2.25")}
    refresh = other.refresh("factor")
    assert (refresh.is_done, refresh.forgotten) == (True, 1)
    assert values(tier, "factor:AT:2020") == {"factor:AT:2020": 9}


def test_a_pattern_hides_what_it_matches(tier):
    """Until the next refresh; a pattern that begins otherwise costs nothing."""
    assert tier.drop_matching(Pattern("user:*")) == 0
    assert tier.drop_matching(Pattern("factor:DE:*")) == 1
    assert values(tier, "factor:AT:2020", "factor:DE:2020") == {"factor:AT:2020": Decimal("1.50")}
    assert tier.drop_matching(Pattern("factor:AT:2020")) == 1
    assert values(tier, "factor:AT:2020", "factor:DE:2020") == {}
    assert tier.refresh("factor").forgotten == 2
    assert len(values(tier, "factor:AT:2020", "factor:DE:2020")) == 2


def test_everything_can_be_hidden(tier):
    """For a tag or a namespace: rows carry no stamps of their own."""
    tier.drop_all()
    assert values(tier, "factor:AT:2020", "factor:DE:2020") == {}
    tier.refresh("factor")
    tier.drop_all("factor")
    assert values(tier, "factor:AT:2020", "factor:DE:2020") == {}


def test_many_patterns_become_one(tier, manager):
    """A read compares with each, so their number is bounded."""
    for number in range(70):
        tier.drop_matching(Pattern(f"factor:X{number}:*"))
    assert len(manager.fetch(b"select 1 from greencache.view_drops")) == 65
    assert values(tier, "factor:AT:2020") == {}


def test_drops_are_of_a_namespace(manager, tier):
    """Another cache on the same view is its own master."""
    other = ViewTier(
        manager, [FACTOR], namespace="other", clock=SystemClock(), counters=TierCounters(), recorder=Events()
    )
    tier.drop_all()
    assert values(other, "factor:AT:2020") == {"factor:AT:2020": Decimal("1.50")}


@pytest.mark.parametrize("concurrently", [False, True])
def test_a_drop_recorded_during_a_refresh_outlives_it(tier, manager, postgres_url, concurrently):
    """The refresh did not see its change, whose old value it is just about to publish."""
    tier.drop_many(["factor:AT:2020"])
    paused = pause_in_refresh(manager)
    refreshes = []
    refreshing = threading.Thread(
        target=lambda: refreshes.append(tier.refresh("factor", concurrently=concurrently))
    )
    with paused:
        refreshing.start()
        wait_until(lambda: refresh_waits(manager), reason="the refresh is in the middle of its query")
        change(manager, 7)
        tier.drop_many(["factor:AT:2020"])
    refreshing.join(20)
    assert [refresh.is_done for refresh in refreshes] == [True]
    assert manager.fetch(b"select amount from factor where region = 'AT'") == [(Decimal("1.50"),)]
    assert values(tier, "factor:AT:2020", "factor:DE:2020") == {"factor:DE:2020": Decimal("2.25")}
    assert tier.refresh("factor").forgotten == 1
    assert values(tier, "factor:AT:2020") == {"factor:AT:2020": 7}


class pause_in_refresh:  # noqa: N801 -- reads like a function
    """Holds an advisory lock that the view's query waits for, after its snapshot was taken."""

    def __init__(self, manager):
        manager.execute(b"drop materialized view factor")
        manager.execute(b"""
            create function pause() returns boolean language plpgsql as
            $$ begin perform pg_advisory_xact_lock_shared(42); return true; end $$
        """)
        manager.execute(b"create materialized view factor as select * from source where pause()")
        manager.execute(b"create unique index on factor (region, year)")
        self.manager = manager

    def __enter__(self):
        self.transaction = self.manager.transaction(20)
        session = self.transaction.__enter__()
        session.fetch(b"select pg_advisory_xact_lock(42)")

    def __exit__(self, *error):
        self.transaction.__exit__(*error)


def refresh_waits(manager):
    """Return whether a refresh waits for the advisory lock."""
    return manager.fetch(
        b"select 1 from pg_stat_activity where wait_event = 'advisory' and query ilike 'refresh%%'"
        b" and datname = current_database()"
    )


def test_a_read_never_sees_the_old_row_without_its_drop(tier, make_tier, manager):
    """While others refresh: once dropped, the old value is gone for good."""
    stop, wrong = threading.Event(), []
    lowest = [0]

    def read():
        while not stop.is_set():
            floor = lowest[0]
            found = values(tier, "factor:AT:2020").get("factor:AT:2020", floor)
            if found < floor:
                wrong.append((found, floor))

    def refresh():
        while not stop.is_set():
            make_tier().refresh("factor")

    threads = [threading.Thread(target=work) for work in (read, read, refresh)]
    change(manager, 0)
    tier.drop_many(["factor:AT:2020"])
    for thread in threads:
        thread.start()
    for amount in range(1, 60):
        change(manager, amount)
        tier.drop_many(["factor:AT:2020"])
        lowest[0] = amount
    stop.set()
    for thread in threads:
        thread.join(20)
    assert wrong == []


# -- refreshing and creating ---------------------------------------------------------------------------


def test_one_refresher_at_a_time(tier, make_tier, manager):
    """The other is told at once that one is under way."""
    done = []
    with pause_in_refresh(manager):
        first = threading.Thread(target=lambda: done.append(tier.refresh("factor")))
        first.start()
        wait_until(lambda: refresh_waits(manager), reason="the refresh is in the middle of its query")
        assert make_tier().refresh("factor").is_done is False
    first.join(20)
    assert [refresh.is_done for refresh in done] == [True]


def test_a_refresh_that_fails_keeps_contents_and_drops(tier, manager):
    """The last good ones, and none of the dropped keys."""
    tier.drop_many(["factor:DE:2020"])
    manager.execute(b"insert into source select * from source")
    with pytest.raises(TierUnavailableError, match="duplicate"):
        tier.refresh("factor")
    assert values(tier, "factor:AT:2020", "factor:DE:2020") == {"factor:AT:2020": Decimal("1.50")}


def test_a_refresh_does_not_wait_for_ever(tier, manager):
    """Somebody's open transaction on the view stops it for `lock_timeout`, and the breaker stays shut."""
    with manager.transaction() as session:
        session.fetch(b"select * from factor")
        with pytest.raises(TierUnavailableError, match="lock timeout"):
            tier.refresh("factor", concurrently=False, lock_timeout=0.05)
        assert tier.refresh("factor", lock_timeout=0.5).is_done
    assert not manager.breaker.is_open


def test_a_view_is_created_once(make_tier):
    """By many at a time; later calls find it."""
    barrier, answers = threading.Barrier(4), []

    def create():
        tier = make_tier()
        barrier.wait(10)
        answers.append(tier.create_view("factor", QUERY))

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answers) == [False, False, False, True]
    assert values(make_tier(), "factor:AT:2020") == {"factor:AT:2020": Decimal("1.50")}


@pytest.mark.parametrize(
    "query", ["select nonsense", "select 'AT' as region, 1 as year from source", "selec"]
)
def test_a_view_that_cannot_be_is_refused(make_tier, manager, query):
    """A bad query, no value column or no unique key: said at once, and nothing left behind."""
    tier = make_tier()
    with pytest.raises(ConfigurationError, match="factor"):
        tier.create_view("factor", query)
    assert manager.fetch(b"select 1 from pg_matviews") == []


def test_an_unknown_view_is_refused(tier):
    """By name, with those that there are."""
    for call in (tier.refresh, tier.drop_all, lambda name: tier.create_view(name, QUERY)):
        with pytest.raises(InvalidArgumentError, match="factor"):
            call("other")


# -- views that cannot be read -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setup", "reason"),
    [
        (b"select 1", "got none of that name"),
        (b"create view factor as select * from source", "another kind"),
        (VIEW, "unique index"),
        (
            VIEW + b"; create unique index on factor (region, year) where year > 0",
            "unique index",
        ),
        (
            VIEW + b"; create unique index on factor (region, year, amount)",
            "unique index",
        ),
        (b"create materialized view factor as select region, year from source", "columns"),
        (
            VIEW + b" with no data; create unique index on factor (region, year)",
            "populated",
        ),
    ],
)
def test_a_view_that_cannot_be_read_is_absent_and_said_so(make_tier, manager, setup, reason):
    """No exception: an event, once, and a finding of the health check."""
    manager.execute(setup)
    events = Events()
    tier = make_tier(events=events)
    assert values(tier, "factor:AT:2020") == values(tier, "factor:DE:2020") == {}
    assert events.kinds() == [EventKind.FEATURE_MISSING]
    assert reason in events[0].detail["reason"]
    health = tier.check()
    assert health.status is Status.DEGRADED
    assert reason in health.error
    assert len(events) == 1


def test_a_unique_index_on_some_of_the_key_columns_serves(make_tier, manager):
    """In any order, and with more columns included."""
    manager.execute(b"create materialized view factor as select distinct on (region) * from source")
    manager.execute(b"create unique index on factor (region) include (amount)")
    assert values(make_tier(), "factor:AT:2020") == {"factor:AT:2020": Decimal("1.50")}


def test_a_view_dropped_under_way_is_noticed_and_found_again(make_tier, manager):
    """Absent while it is away, looked for again after a while."""
    clock, events = FakeClock(), Events()
    tier = make_tier(clock=clock, events=events)
    tier.create_view("factor", QUERY)
    assert values(tier, "factor:AT:2020")
    manager.execute(b"drop materialized view factor")
    assert values(tier, "factor:AT:2020") == {}
    manager.execute(b"create materialized view factor as select * from source")
    manager.execute(b"create unique index on factor (region, year)")
    assert values(tier, "factor:AT:2020") == {}
    clock.advance(6)
    assert values(tier, "factor:AT:2020") == {"factor:AT:2020": Decimal("1.50")}
    assert events.kinds() == [EventKind.FEATURE_MISSING]


def test_an_outage_is_an_outage(make_tier, manager):
    """The one exception of a tier."""
    tier = make_tier()
    tier.close()
    with pytest.raises(TierUnavailableError):
        tier.get_many(["factor:AT:2020"])
    assert tier.check().status is Status.DOWN


# -- specs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"template": "no fields"},
        {"template": "{a.b}"},
        {"columns": {"nowhere": "column"}},
        {"value": ()},
        {"value": ""},
        {"value": "one", "row": Amount},
        {"ttl": -1},
        {"max_age": math.nan},
    ],
)
def test_a_spec_that_cannot_work_is_refused(options):
    """When it is made."""
    with pytest.raises((ConfigurationError, InvalidArgumentError, InvalidKeyError)):
        ViewSpec(**{"name": "v", "template": "k:{a}", "value": "v", **options})


@pytest.mark.parametrize("name", ["", "a.b.c", ".v", "s.", "x" * 64, "nul\0"])
def test_a_name_that_cannot_be_is_refused(make_tier, name):
    """PostgreSQL would cut it off, or take it for something else."""
    with pytest.raises(ConfigurationError, match="name"):
        make_tier(dataclasses.replace(FACTOR, name=name))


def test_the_age_of_a_row_is_the_views(make_tier, manager):
    """An entry read from an old view was made then, not now."""
    tier = make_tier()
    tier.create_view("factor", QUERY)
    manager.execute(b"update greencache.view_refreshes set as_of = now() - interval '1000 s'")
    [entry] = tier.get_many(["factor:AT:2020"]).values()
    then = dt.datetime.now(dt.UTC).timestamp() - 1000
    assert entry.created == pytest.approx(then, abs=5)
