"""Keys written by SQL are those that templates write in Python."""

import datetime as dt
import decimal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greencache.keys import Template
from greencache.outbox.watcher import TableWatcher

TEMPLATES = [
    "factor:{value}:{other}",
    "{value}|{other}",
    "f{value}-{other}.json",
    "{value} / {other}",
    "a.{value}+{other}",
    "né{value}{{{other}",
    "long" * 60 + ":{value}:{value}",
]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
numbers = st.decimals(allow_nan=True, allow_infinity=True).filter(
    # What PostgreSQL knows: one NaN, and not any number of digits.
    lambda number: (
        number.adjusted() < 1000 if number.is_finite() else str(number) != "-NaN" and not number.is_snan()
    )
)
TYPES = {
    "text": texts
    | st.text(st.sampled_from("%#:-|/aN3A2None≤{}'\\\n"), max_size=8)
    | st.text("é%", min_size=120),
    "varchar(9)": st.text(st.sampled_from("%:ab "), max_size=9),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "boolean": st.booleans(),
    "numeric": numbers,
    "numeric(12, 9)": st.decimals(-1, 1, places=9),
    "uuid": st.uuids(),
    "date": st.dates(),
    "timestamp": st.datetimes(),
    "timestamptz": st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1)).map(  # noqa: DTZ001 -- its zone follows
        lambda time: time.replace(tzinfo=dt.UTC)
    ),
}


@pytest.fixture(scope="module")
def tables(postgres_server):
    """A function that writes a row into a watched table of a type and returns its keys."""
    url = postgres_server.create_database()
    options = "-c search_path=public -c timezone=UTC"
    with TableWatcher(url) as watcher, psycopg.connect(url, autocommit=True, options=options) as connection:
        for name in TYPES:
            connection.execute(f'create table "{name}" (value {name}, other {name})')
            watcher.watch(name, keys=TEMPLATES)

        def write(kind, value, other):
            with connection.transaction() as transaction:
                query = f'insert into "{kind}" values (%s, %s) returning value, other'
                stored = connection.execute(query, [value, other]).fetchone()
                [(keys,)] = connection.execute("select keys from greencache.outbox").fetchall()
                raise psycopg.Rollback(transaction)
            return stored, keys

        yield write
    postgres_server.drop_database(url)


@pytest.mark.parametrize("kind", TYPES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(data=st.data())
def test_sql_and_python_write_the_same_key(kind, tables, data):
    """Of whatever value of a type, as the driver returns it."""
    one = st.none() | TYPES[kind]
    (value, other), keys = tables(kind, data.draw(one), data.draw(one))
    assert sorted(keys) == sorted(
        {Template(text).format_map({"value": value, "other": other}) for text in TEMPLATES}
    )


SMALL = "0.000001 0.0000001 -0.00000010 0.0000000 0.000000 0.00000000 -0.00000123450 1E-30 NaN -Infinity 1.50"


def test_small_numbers_are_written_as_the_decimal_module_does(tables):
    """With an exponent from a certain number of zeros on."""
    for text in SMALL.split():
        (value, _), keys = tables("numeric", decimal.Decimal(text), None)
        assert f"factor:{value}:%None" in keys
