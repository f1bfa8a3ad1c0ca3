"""What all parts of a configuration have in common."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from greencache.config.layers import SettingPath
from greencache.config.problems import described
from greencache.errors import ConfigurationError

__all__ = ["AnyCount", "Count", "Fraction", "Settings"]


def _refuse_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, got {value}")  # noqa: TRY004 -- pydantic turns this one into its own
    return value


Count = Annotated[int, BeforeValidator(_refuse_flag), Field(ge=1)]
AnyCount = Annotated[int, BeforeValidator(_refuse_flag), Field(ge=0)]
"""A whole number of at least one."""

Fraction = Annotated[float, BeforeValidator(_refuse_flag), Field(ge=0, le=1)]
"""A part of something, between 0 and 1."""


class Settings(BaseModel):
    """Settings that cannot be changed, with no others beside them.

    Raises:
        ConfigurationError: If one of them is unknown or wrong.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    def __init__(self, /, **settings: Any) -> None:
        problem = ""
        try:
            super().__init__(**settings)
        except ValidationError as error:
            problem = described(type(self), error, {})
        # Outside of the handler: an error keeps the one it was raised from, and pydantic's holds the secrets.
        if problem:
            raise ConfigurationError(problem)

    # Tells pydantic that this is not another way to make one. Else it would call it for parts of a whole too,
    # and their problems would lose the path to them.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any], origins: Mapping[SettingPath, str]) -> Self:
        """Return the settings of a nested mapping.

        Args:
            settings: Names and values.
            origins: Where each was written, for messages.

        Raises:
            ConfigurationError: If one of them is unknown or wrong.
        """
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            problem = described(cls, error, origins)
        raise ConfigurationError(problem)

    @model_validator(mode="before")
    @classmethod
    def _nothing_means_defaults(cls, settings: Any) -> Any:
        return {} if settings is None else settings  # `l2:` with nothing but comments under it
