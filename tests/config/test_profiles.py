"""greencache.config.profiles."""

import pytest

from greencache.config.layers import Layer
from greencache.config.profiles import select_profile
from greencache.errors import ConfigurationError

FILE = Layer(
    {
        "namespace": "base",
        "l1": {"size": 1, "ttl": 1},
        "profiles": {
            "production": {"l1": {"size": 2}},
            "staging": {"extends": "production", "namespace": "staging"},
            "empty": None,
            "a": {"extends": "b"},
            "b": {"extends": "c"},
            "c": {"extends": "a"},
            "self": {"extends": "self"},
            "lost": {"extends": "prodution"},
            "text": "hunter2",
            "list": {"extends": ["a"]},
        },
    },
    {("l1", "size"): "f:1:1", ("profiles", "production", "l1", "size"): "f:9:9"},
)


@pytest.mark.parametrize(
    ("profile", "settings"),
    [
        (None, {"namespace": "base", "l1": {"size": 1, "ttl": 1}}),
        ("empty", {"namespace": "base", "l1": {"size": 1, "ttl": 1}}),
        ("production", {"namespace": "base", "l1": {"size": 2, "ttl": 1}}),
        ("staging", {"namespace": "staging", "l1": {"size": 2, "ttl": 1}}),
    ],
)
def test_a_profile_says_only_what_differs(profile, settings):
    """What a profile does not say comes from the one it extends, and then from outside of the profiles."""
    assert select_profile(FILE, profile, "f").values == settings


def test_a_setting_of_a_profile_is_known_by_its_own_place():
    """The origin of a setting is where the value was written that counts."""
    assert select_profile(FILE, None, "f").origins["l1", "size"] == "f:1:1"
    assert select_profile(FILE, "staging", "f").origins["l1", "size"] == "f:9:9"


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ("prodction", "did you mean 'production'"),
        ("lost", "unknown profile 'prodution'; did you mean 'production'"),
        ("a", "a extends b extends c extends a"),
        ("self", "self extends self"),
        ("text", "to be a mapping"),
        ("list", "by its name"),
    ],
)
def test_a_profile_that_cannot_be_is_refused(profile, reason):
    """The file and the reason are named."""
    with pytest.raises(ConfigurationError, match=f"^cache.yaml: .*{reason}") as caught:
        select_profile(FILE, profile, "cache.yaml")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("profiles", [[], [1], "text", 5])
def test_profiles_are_a_mapping(profiles):
    """Anything else than a mapping, but nothing, is refused."""
    if profiles:
        with pytest.raises(ConfigurationError, match="expected profiles to be a mapping"):
            select_profile(Layer({"profiles": profiles}), None, "f")
