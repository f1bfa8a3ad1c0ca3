"""The job's own database: factors, ledger, and what PostgreSQL says when it is asked directly."""

import importlib.resources
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Final, NamedTuple, Self

from greencache.backends.postgres import PostgresManager, PostgresSession
from greencache.demo.figures import FACTOR_KEY, INTENSITY_KEY, REFERENCE_SOURCE, Factor
from greencache.demo.ledger import Activity
from greencache.typing import Key, Seconds

__all__ = ["Database", "Total"]

_PATIENCE: Final[Seconds] = 60.0
_BATCH: Final = 50_000
_SQL: Final = importlib.resources.files("greencache.demo") / "sql"

_INTENSITY: Final = b"SELECT grams_per_kwh FROM current_intensity WHERE source = %s AND region = %s"
_CACHED_INTENSITY: Final = b"SELECT grams_per_kwh FROM grid_intensity WHERE source = %s AND region = %s"
_FACTORS: Final = b"""
    SELECT wanted.key, factor.value
    FROM unnest(
        %s::text[], %s::text[], %s::text[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::text[], %s::int[]
    ) AS wanted (key, source, category, item, region, year, metric, unit, ordinal)
    JOIN factor USING (source, category, item, region, year, metric, unit, ordinal)
"""


class Total(NamedTuple):
    """What was generated and emitted by the factors of one source."""

    kwh: int
    grams: Decimal


class Database:
    """The job's own database. Its loaders read the truth, never the materialized views.

    Args:
        url: Where it is.
    """

    def __init__(self, url: str) -> None:
        self._postgres = PostgresManager(url, timeout=_PATIENCE, max_connections=2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._postgres.close()

    # -- setting up ------------------------------------------------------------------------------------

    def create(self, factors: Sequence[Factor], ledger: Sequence[Activity]) -> None:
        """Create the tables and fill them, all in one transaction."""
        with self._postgres.transaction(_PATIENCE) as session:
            session.execute(_statement("schema"))
            _insert(session, b"factor", b"text text text text text text text int numeric", map(_row, factors))
            _insert(session, b"activity", b"int text text text bigint", ledger)
        self._postgres.execute(b"ANALYZE factor, activity, grid_unit")

    # -- the job, without a cache ----------------------------------------------------------------------

    def direct_emissions(self, rows: int) -> dict[str, Total]:
        """Return what the first rows of the ledger emitted, by source, computed by PostgreSQL alone."""
        params = {"reference": REFERENCE_SOURCE, "rows": rows}
        found = self._postgres.fetch(_statement("direct_emissions"), params)
        return {source: Total(kwh, grams) for source, kwh, grams in found}

    def intensity(self, source: str, region: str) -> Decimal | None:
        """Return a grid's carbon intensity in g/kWh as a source has it; `None` if it has none."""
        return self._one(_INTENSITY, source, region)

    def intensity_in_view(self, source: str, region: str) -> Decimal | None:
        """Return what the materialized view has, which may be older."""
        return self._one(_CACHED_INTENSITY, source, region)

    def _one(self, query: bytes, *params: object) -> Decimal | None:
        rows = self._postgres.fetch(query, params)
        return rows[0][0] if rows else None

    # -- the job's reading -----------------------------------------------------------------------------

    def activities(self, rows: int, share: int, shares: int) -> list[Activity]:
        """Return one worker's share of the first rows of the ledger.

        Args:
            rows: How many rows all workers do together.
            share: Whose share, from 0.
            shares: Among how many they are dealt out.
        """
        query = b"SELECT * FROM activity WHERE number < %s AND number %% %s = %s ORDER BY number"
        return [Activity(*row) for row in self._postgres.fetch(query, (rows, shares, share))]

    def load_intensity(self, key: Key) -> Decimal | None:
        """Load the value of one intensity key."""
        fields = INTENSITY_KEY.parse(key) or {}
        return self.intensity(fields["source"] or "", fields["region"] or "")

    def load_factors(self, keys: Iterable[Key]) -> Mapping[Key, Decimal]:
        """Load the values of many factor keys in one statement."""
        wanted = [(key, *(FACTOR_KEY.parse(key) or {}).values()) for key in keys]
        columns = [list(column) for column in zip(*wanted, strict=True)]
        columns[-1] = [int(ordinal or 0) for ordinal in columns[-1]]
        return dict(self._postgres.fetch(_FACTORS, columns))

    # -- the correction --------------------------------------------------------------------------------

    def correct_intensity(self, source: str, region: str, grams_per_kwh: Decimal) -> Key:
        """Publish a new figure for a grid whose figure is in g/kWh, and return the figure's key."""
        query = b"""
            UPDATE factor SET value = %s
            WHERE category = 'grid_electricity' AND metric = 'carbon_intensity' AND unit = 'gCO2e/kWh'
              AND source = %s AND region = %s
            RETURNING source, category, item, region, year, metric, unit, ordinal
        """
        [fields] = self._postgres.fetch(query, (grams_per_kwh, source, region))
        return FACTOR_KEY.format_map(dict(zip(FACTOR_KEY.fields, fields, strict=True)))


def _statement(name: str) -> bytes:
    return (_SQL / f"{name}.sql").read_bytes()


def _row(factor: Factor) -> tuple[object, ...]:
    return (*(getattr(factor, name) for name in FACTOR_KEY.fields), factor.value)


def _insert(session: PostgresSession, table: bytes, types: bytes, rows: Iterable[Sequence[object]]) -> None:
    """Insert rows column by column: a few large arrays go over the wire faster than many rows."""
    arrays = b", ".join(b"%s::" + name + b"[]" for name in types.split())
    rows = list(rows)
    for start in range(0, len(rows), _BATCH):
        columns = [list(column) for column in zip(*rows[start : start + _BATCH], strict=True)]
        session.execute(b"INSERT INTO " + table + b" SELECT * FROM unnest(" + arrays + b")", columns)
