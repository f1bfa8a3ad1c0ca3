"""Profiles: one file for production, development and testing, each saying only what differs.

What is outside of `profiles` holds for all of them; with `extends` a profile begins where another one ends:

    l1: {size: 5MB}
    profiles:
      production: {l1: {size: 50MB}}
      staging: {extends: production, namespace: staging}
"""

from collections.abc import Mapping
from typing import Any

from greencache.config.layers import Layer
from greencache.config.nearest import suggestion
from greencache.errors import ConfigurationError

__all__ = ["PROFILES", "select_profile"]

PROFILES = "profiles"


def select_profile(file: Layer, profile: str | None, source: str) -> Layer:
    """Return the settings of a file as one of its profiles has them.

    Args:
        file: All settings, profiles included.
        profile: Which one; `None` for what is outside of the profiles alone.
        source: What the file is called, for messages.

    Raises:
        ConfigurationError: If there is no such profile, or profiles extend each other in a circle.
    """
    profiles = file.values.get(PROFILES) or {}
    if not isinstance(profiles, Mapping):
        raise ConfigurationError(f"{source}: expected profiles to be a mapping of names to settings")
    settings = file.without(PROFILES)
    for name in reversed(_lineage(profiles, profile, source)):
        settings = file.at(PROFILES, name).without("extends").over(settings)
    return settings


def _lineage(profiles: Mapping[str, Any], profile: str | None, source: str) -> list[str]:
    """Return the profile and those that it extends, the nearest first."""
    lineage: list[str] = []
    while profile is not None:
        if profile in lineage:
            circle = " extends ".join([*lineage, profile])
            raise ConfigurationError(f"{source}: profiles extend each other in a circle: {circle}")
        lineage.append(profile)
        profile = _parent(profiles, profile, source)
    return lineage


def _parent(profiles: Mapping[str, Any], profile: str, source: str) -> str | None:
    if profile not in profiles:
        raise ConfigurationError(f"{source}: unknown profile {profile!r}; {suggestion(profile, profiles)}")
    settings = profiles[profile] or {}
    if not isinstance(settings, Mapping):
        raise ConfigurationError(f"{source}: expected profile {profile!r} to be a mapping of settings")
    parent = settings.get("extends")
    if not isinstance(parent, str | None):
        raise ConfigurationError(f"{source}: expected profile {profile!r} to extend another one by its name")
    return parent
