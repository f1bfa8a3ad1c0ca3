"""A materialized view described as a tier: which keys it answers, and with what."""

import dataclasses
import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from greencache.errors import ConfigurationError, InvalidKeyError
from greencache.keys import Pattern, Template
from greencache.options import check_duration
from greencache.tiers.view_policy import RefreshPolicy
from greencache.typing import Key, Seconds

__all__ = ["ViewSpec"]

_INTEGERS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}

_PARSERS: dict[str, Callable[[str], object]] = {
    "real": float,
    "double precision": float,
    "numeric": decimal.Decimal,
    "uuid": uuid.UUID,
    "date": dt.date.fromisoformat,
    "timestamp without time zone": dt.datetime.fromisoformat,
    "timestamp with time zone": dt.datetime.fromisoformat,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ViewSpec:
    """What a materialized view answers.

    A row answers exactly one key: the one that the template makes of its key columns. So where the column is
    an integer, `factor:07` is not `factor:7` but a key without a row.

    Args:
        name: `view`, or `schema.view`; upper case is upper case.
        template: The keys it answers, such as `factor:{region}:{metric}`.
        columns: The key column of each field of the template whose column has another name than the field.
        value: The column that is the value, or the columns that make a dictionary, or the arguments of `row`.
        row: Makes the value of the columns, given by name: a dataclass, for example; its fields are the
            columns if `value` is not given.
        ttl: Seconds that the tiers above may keep what was read; `None` for as long as they like.
        query: The SELECT that the view is created with if it is not there; `None` for one of your own.
        max_age: Seconds after its last refresh from which on the view is too old; `None` for any age.
        when_old: What becomes of a key then: "load", it is absent and so loaded; "query", the query is run
            for it; "serve", it is answered all the same, and the tiers above ask again each second.
        refresh: When it is refreshed by itself; `None` for by hand only.
        after: Other views of the cache that it is made of: these are created and refreshed before it.

    Raises:
        ConfigurationError: If these do not fit together.
    """

    name: str
    template: str
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    value: str | Sequence[str] = ()
    row: Callable[..., Any] | None = None
    ttl: Seconds | None = None
    max_age: Seconds | None = None
    query: str | None = None
    when_old: Literal["load", "query", "serve"] = "load"
    refresh: RefreshPolicy | None = None
    after: Sequence[str] = ()
    keys: Template = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        template = Template(self.template)
        object.__setattr__(self, "keys", template)
        if not template.fields:
            raise ConfigurationError(f"expected a template with fields such as {{id}}, got {self.template!r}")
        if unknown := self.columns.keys() - set(template.fields):
            raise ConfigurationError(
                f"expected columns for the fields {list(template.fields)}, got some for {sorted(unknown)}"
            )
        if not self.value_columns:
            raise ConfigurationError(
                f"expected value as columns of {self.name}, one or more, got {self.value!r}"
            )
        if isinstance(self.value, str) and self.row is not None:
            raise ConfigurationError("expected value as a sequence where there is a row, got a name")
        for name in ("ttl", "max_age"):
            if getattr(self, name) is not None:
                check_duration(name, getattr(self, name))
        self._check_refreshing()

    def _check_refreshing(self) -> None:
        if self.when_old not in ("load", "query", "serve"):
            raise ConfigurationError(f"expected when_old as load, query or serve, got {self.when_old!r}")
        if self.when_old == "query" and self.query is None:
            raise ConfigurationError(f"expected the query of {self.name} where when_old is query, got none")
        if isinstance(self.after, str):
            raise ConfigurationError(f"expected after as a sequence of views, got the text {self.after!r}")
        if self.refresh is not None and not isinstance(self.refresh, RefreshPolicy):
            raise ConfigurationError(f"expected refresh as a RefreshPolicy, got {self.refresh!r}")

    @property
    def pattern(self) -> str:
        """A pattern that finds all keys it answers, and perhaps others."""
        return Pattern.escape(self.keys.prefix) + "*"

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The column of each field of the template, in their order."""
        return tuple(self.columns.get(field, field) for field in self.keys.fields)

    @property
    def value_columns(self) -> tuple[str, ...]:
        """The columns that make the value."""
        if isinstance(self.value, str):
            return (self.value,) if self.value else ()
        if not self.value and dataclasses.is_dataclass(self.row):
            return tuple(field.name for field in dataclasses.fields(self.row) if field.init)
        return tuple(self.value)

    def key_of(self, texts_or_values: Sequence[object]) -> Key | None:
        """Return the key of a row, given its key columns in their order; `None` if it can have none."""
        try:
            return self.keys.format_map(dict(zip(self.keys.fields, texts_or_values, strict=True)))
        except InvalidKeyError:
            return None

    def make(self, columns: Sequence[Any]) -> Any:
        """Return the value that the value columns of a row make."""
        if isinstance(self.value, str):
            return columns[0]
        named = dict(zip(self.value_columns, columns, strict=True))
        return named if self.row is None else self.row(**named)


def can_be(text: str, column_type: str) -> bool:
    """Return whether a text is how a value of a column's type is spelled in a key.

    What is not is in no row, and must not reach the database: it would refuse the whole batch.

    Args:
        text: A field of a key.
        column_type: As SQL spells it; of types unknown here, the database is asked.
    """
    if "\0" in text:
        return False
    if column_type == "boolean":
        return text in ("True", "False")
    if column_type in _INTEGERS:
        return _is_integer(text, _INTEGERS[column_type])
    parse = _PARSERS.get(column_type)
    return parse is None or _is_spelled_by(text, parse)


def _is_integer(text: str, bound: int) -> bool:
    # Twenty characters hold any bigint; longer text is not worth parsing.
    if len(text) > 20 or not text.removeprefix("-").isdecimal():  # noqa: PLR2004
        return False
    number = int(text)
    return str(number) == text and -bound <= number < bound


def _is_spelled_by(text: str, parse: Callable[[str], Any]) -> bool:
    try:
        value = parse(text)
    except (ValueError, ArithmeticError):
        return False
    if isinstance(value, float):
        return repr(value) == text
    if isinstance(value, decimal.Decimal):
        return value.is_finite() and str(value) == text
    return (str(value) if isinstance(value, uuid.UUID) else value.isoformat()) == text
