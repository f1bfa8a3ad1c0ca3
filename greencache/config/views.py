"""The settings of a materialized view."""

import re
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from greencache.config.nearest import suggestion
from greencache.config.settings import Settings
from greencache.config.units import OptionalDuration
from greencache.keys import Template

__all__ = ["ViewConfig"]

# What PostgreSQL takes in quotes, at most 63 bytes of it.
_IDENTIFIER: Final = r'[^."\0]{1,63}'
_VIEW_NAME: Final = re.compile(rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})?")


def _checked_name(name: str) -> str:
    if not _VIEW_NAME.fullmatch(name):
        raise ValueError("expected the name of a view, or schema.view, without quotes")
    return name


def _checked_template(text: str) -> str:
    if not Template(text).fields:
        raise ValueError("expected a key template with fields, such as factor:{region}:{metric}")
    return text


def _checked_columns(value: Any) -> Any:
    names = (value,) if isinstance(value, str) else value
    if isinstance(names, list | tuple) and names and all(name and isinstance(name, str) for name in names):
        return value if isinstance(value, str) else tuple(names)
    raise ValueError("expected the name of a column, or a list of such names")


class ViewConfig(Settings):
    """A materialized view whose rows are entries, found by the columns that make up their keys."""

    name: Annotated[str, AfterValidator(_checked_name)]
    key: Annotated[str, AfterValidator(_checked_template)]
    columns: dict[str, str] = Field(default_factory=dict)
    value: Annotated[str | tuple[str, ...], BeforeValidator(_checked_columns)]
    max_age: OptionalDuration = None
    query: str | None = None

    @property
    def key_columns(self) -> dict[str, str]:
        """The column of each field of the key template: of the same name, unless said otherwise."""
        return {field: self.columns.get(field, field) for field in Template(self.key).fields}

    @model_validator(mode="after")
    def _columns_are_fields(self) -> Self:
        fields = Template(self.key).fields
        for name in self.columns:
            if name not in fields:
                raise ValueError(
                    f"columns has {name!r}, which is no field of key; {suggestion(name, fields)}"
                )
        return self
