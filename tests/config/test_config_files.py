"""The files in config/: both are valid, and the reference is complete."""

import pathlib

import pytest
from pydantic import BaseModel

from greencache.config import CacheConfig, ViewConfig
from greencache.config.views import RefreshConfig
from greencache.config.yaml_file import read_yaml
from greencache.typing import CacheTier

FOLDER = pathlib.Path(__file__).parents[2] / "config"
REFERENCE = FOLDER / "reference.yaml"
CACHE = FOLDER / "cache.yaml"


def settings_of(model, path=()):
    """Yield the path of every setting of a model."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_of(field.annotation, (*path, name))
        else:
            yield (*path, name)


def test_the_reference_has_every_setting():
    """Nothing can be set that is not in the reference."""
    written = read_yaml(REFERENCE).origins
    missing = [".".join(path) for path in settings_of(CacheConfig) if path not in written]
    assert not missing
    view = ("profiles", "with-a-view", "l4", "views", 0)
    assert not [name for name in ViewConfig.model_fields if (*view, name) not in written]
    assert not [name for name in RefreshConfig.model_fields if (*view, "refresh", name) not in written]


def test_the_reference_has_the_real_defaults():
    """Loading it changes nothing."""
    assert CacheConfig.load(REFERENCE, environ={}) == CacheConfig()
    assert CacheConfig.load(REFERENCE, environ={}).model_fields_set == set(CacheConfig.model_fields)


def test_the_reference_explains_every_setting():
    """Each line that sets something has one comment."""
    lines = [
        line for line in REFERENCE.read_text(encoding="utf-8").splitlines() if ":" in line.partition("#")[0]
    ]
    structure = {"l4:", "views:"}
    unexplained = [line for line in lines if "# " not in line and line.strip() not in structure]
    assert not unexplained


@pytest.mark.parametrize("profile", ["with-a-view", "with-a-view-in-staging"])
def test_the_profiles_of_the_reference_are_valid(profile):
    """The example of a view is one."""
    (view,) = CacheConfig.load(REFERENCE, profile=profile, environ={}).l4.views
    assert view.key_columns == {"region": "region_code", "metric": "metric"}


@pytest.mark.parametrize(
    ("profile", "tiers"),
    [
        (None, (CacheTier.L1,)),
        ("development", (CacheTier.L1,)),
        ("testing", (CacheTier.L1,)),
        ("production", tuple(CacheTier)),
    ],
)
def test_every_profile_of_the_example_is_valid(profile, tiers):
    """The three profiles, and the file without one, are configurations."""
    config = CacheConfig.load(CACHE, profile=profile, environ={})
    assert config.tiers == tiers
    assert config.defaults.stale_ttl == (0.0 if profile == "testing" else 3_600.0)


def test_the_example_inherits():
    """Testing is development with other words; production hides keys."""
    development, testing, production = (
        CacheConfig.load(CACHE, profile=name, environ={}) for name in ("development", "testing", "production")
    )
    assert (development.namespace, testing.namespace) == ("greencache-dev", "greencache-test")
    assert (development.logging.level, testing.logging.level) == ("debug", "warning")
    assert production.logging.redact_keys
    assert production.l2.ttl == 300.0


def test_no_profile_is_untested():
    """Whoever adds a profile to the example adds it to the tests."""
    assert set(read_yaml(CACHE).values["profiles"]) == {"development", "testing", "production"}
