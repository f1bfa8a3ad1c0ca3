"""The settings of a materialized view."""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from greencache.config.nearest import suggestion
from greencache.config.settings import Settings
from greencache.config.units import Duration, OptionalDuration, parse_duration
from greencache.keys import Template
from greencache.tiers.view_policy import RefreshPolicy

__all__ = ["RefreshConfig", "ViewConfig"]

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


class RefreshConfig(Settings):
    """When a view is refreshed by itself: whichever rule comes first."""

    every: OptionalDuration = None
    cron: str | None = None
    timezone: str = "UTC"
    on: tuple[str, ...] = ()
    delay: Annotated[float, BeforeValidator(parse_duration)] = 0.0
    timeout: Duration = 60.0
    lock_timeout: Duration = 2.0

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        self.policy()
        return self

    def policy(self) -> RefreshPolicy:
        """Return it as a tier takes it."""
        return RefreshPolicy(**self.model_dump())


class ViewConfig(Settings):
    """A materialized view whose rows are entries, found by the columns that make up their keys."""

    name: Annotated[str, AfterValidator(_checked_name)]
    key: Annotated[str, AfterValidator(_checked_template)]
    columns: dict[str, str] = Field(default_factory=dict)
    value: Annotated[str | tuple[str, ...], BeforeValidator(_checked_columns)]
    max_age: OptionalDuration = None
    when_old: Literal["load", "query", "serve"] = "load"
    query: str | None = None
    refresh: RefreshConfig | None = None
    after: tuple[str, ...] = ()

    @property
    def key_columns(self) -> dict[str, str]:
        """The column of each field of the key template: of the same name, unless said otherwise."""
        return {field: self.columns.get(field, field) for field in Template(self.key).fields}

    @model_validator(mode="after")
    def _can_be_queried(self) -> Self:
        if self.when_old == "query" and self.query is None:
            raise ValueError("expected query where when_old is query, got none")
        return self

    @model_validator(mode="after")
    def _columns_are_fields(self) -> Self:
        fields = Template(self.key).fields
        for name in self.columns:
            if name not in fields:
                raise ValueError(
                    f"columns has {name!r}, which is no field of key; {suggestion(name, fields)}"
                )
        return self
