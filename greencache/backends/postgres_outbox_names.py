"""Key templates as SQL: queries that name the rows of a table exactly as `Template` does in Python."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from psycopg import sql

from greencache.errors import ConfigurationError
from greencache.keys import MAX_KEY_BYTES, MAX_PLAIN_BYTES, Pattern, Template

__all__ = ["Naming"]

_HASH_BYTES: Final = 65


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    """How values of a type become text.

    Args:
        told_apart: What differs wherever the texts differ: 1.0 and 1.00 are equal, and so are "a" and "A" in
            some collations, but they make different keys.
        text: The text of that; its parameters are those of the session's settings nowhere.
        letters: The characters that the text may have, as far as they could need an escape; `None` for any.
    """

    told_apart: str
    text: str
    letters: str | None


_TEXT = _Kind('{}::text collate "C"', "{}", None)
_INTEGER = _Kind("{}", "{}::text", "-")
_TIME = "-:.+ "
_KINDS: Final[Mapping[str, _Kind]] = {
    "text": _TEXT,
    "character varying": _TEXT,
    "enum": _TEXT,
    "smallint": _INTEGER,
    "integer": _INTEGER,
    "bigint": _INTEGER,
    "boolean": _Kind("{}", "case {} when true then 'True' when false then 'False' end", ""),
    "numeric": _Kind("{schema}.numeric_text({})", "{}", "-.+"),
    "uuid": _Kind("{}", "{}::text", "-"),
    "date": _Kind("{}", "to_char({}::timestamp, 'YYYY-MM-DD')", "-"),
    "timestamp without time zone": _Kind("{}", "{schema}.timestamp_text({})", _TIME),
    "timestamp with time zone": _Kind(
        "{}", "{schema}.timestamp_text({} at time zone 'UTC') || '+00:00'", _TIME
    ),
}
"""Types of columns whose texts are the same in SQL and in Python; a float's are not."""


class Naming:
    """A template over the columns of one table.

    Args:
        template: What it writes.
        columns: The column of each field that has another name than the field.
        types: The type of each column of the table, as `outbox/describe` tells it.
        schema: The schema of greencache's own functions.

    Raises:
        ConfigurationError: If a column is missing, or of a type that has no text of its own.
    """

    def __init__(
        self, template: Template, columns: Mapping[str, str], types: Mapping[str, str], schema: str
    ) -> None:
        self.template = template
        self._columns = {field: columns.get(field, field) for field in template.fields}
        self._schema = sql.Identifier(schema)
        if missing := sorted(set(self._columns.values()) - types.keys()):
            raise ConfigurationError(f"expected columns {missing} for {template.text!r}, got {sorted(types)}")
        self._kinds = {field: _kind(column, types[column]) for field, column in self._columns.items()}
        if len(template.prefix.encode()) + _HASH_BYTES > MAX_KEY_BYTES:
            raise ConfigurationError(
                f"expected at most {MAX_KEY_BYTES - _HASH_BYTES} bytes before the first field, got a longer"
                f" template that begins with {template.prefix[:40]!r}"
            )

    @property
    def pattern(self) -> str | None:
        """A pattern that covers every name it writes; `None` if that were everything."""
        prefix = self.template.prefix
        return Pattern.escape(prefix) + "*" if prefix else None

    def query(self, relations: Sequence[str], limit: int) -> sql.Composable:
        """Return a query for one array: the names of all rows of some relations, each name once.

        Args:
            relations: Tables of the same columns, such as those before and after an update.
            limit: So many names, and one more, are enough.
        """
        if not self.template.fields:
            # One name for any row; a statement that touched none is no news.
            exist = [_sql("exists (select from {})", sql.Identifier(name)) for name in relations]
            text = "select case when {} then array[{}] end"
            return _sql(text, sql.SQL(" or ").join(exist), sql.Literal(self.template.prefix))
        return _sql(
            """
            select array_agg(
                case when octet_length(written.text) > {}
                    then {} || '#' || encode(sha256(convert_to(written.text, 'UTF8')), 'hex')
                    else {} || written.text
                end
            )
            from (select distinct {} as text from ({} limit {}) as told) as written
            where {} || written.text <> ''
            """,
            sql.Literal(MAX_PLAIN_BYTES - len(self.template.prefix.encode())),
            *[sql.Literal(self.template.prefix)] * 2,
            self._variable(),
            sql.SQL(" union ").join(map(self._rows, relations)),
            sql.Literal(limit + 1),
            sql.Literal(self.template.prefix),
        )

    def _rows(self, relation: str) -> sql.Composable:
        """Return a query for the fields of all rows, each combination once."""
        fields = []
        for number, (field, column) in enumerate(self._columns.items()):
            value = self._filled(self._kinds[field].told_apart, sql.Identifier(relation, column))
            fields.append(_sql("{} as {}", value, sql.Identifier(f"f{number}")))
        return _sql("select distinct {} from {}", sql.SQL(", ").join(fields), sql.Identifier(relation))

    def _variable(self) -> sql.Composable:
        """Return what follows the prefix: the fields as text, and what is between them."""
        numbers = {field: number for number, field in enumerate(self._columns)}
        parts: list[sql.Composable] = []
        for field, separator in self.template.pieces:
            parts.append(self._text(self._kinds[field], sql.Identifier("told", f"f{numbers[field]}")))
            if separator:
                parts.append(sql.Literal(separator))
        return sql.SQL(" || ").join(parts)

    def _text(self, kind: _Kind, value: sql.Composable) -> sql.Composable:
        text = self._filled(kind.text, value)
        # `%` first, or it would escape the escapes.
        for character, escaped in sorted(self.template.escapes.items(), key=lambda pair: pair[0] != "%"):
            if kind.letters is None or character in kind.letters:
                text = _sql("replace({}, {}, {})", text, sql.Literal(character), sql.Literal(escaped))
        return _sql("coalesce({}, '%None')", text)

    def _filled(self, text: str, value: sql.Composable) -> sql.Composable:
        return sql.SQL(text).format(value, schema=self._schema)


def _kind(column: str, column_type: str) -> _Kind:
    kind = _KINDS.get(column_type)
    if kind is None:
        raise ConfigurationError(
            f"expected column {column!r} to be one of {', '.join(sorted(_KINDS))}, got {column_type}: keys"
            " made of it in Python and in SQL would differ; use another column, or a generated text column"
        )
    return kind


def _sql(text: str, *parts: sql.Composable) -> sql.Composable:
    return sql.SQL(text).format(*parts)
