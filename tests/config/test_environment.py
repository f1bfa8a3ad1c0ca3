"""greencache.config.environment."""

import pytest

from greencache.config.environment import read_environment
from greencache.errors import ConfigurationError

SECTIONS = ("namespace", "l1", "l2")


def read(**environ):
    """Return the settings of some variables."""
    return read_environment(environ, SECTIONS)


def test_two_underscores_lead_into_a_section():
    """Names are parted by two underscores; one belongs to the name."""
    layer = read(
        GREENCACHE__L2__MAX_CONNECTIONS="5", GREENCACHE__L2__RETRY__BASE="1s", GREENCACHE__NAMESPACE="x"
    )
    assert layer.values == {"l2": {"max_connections": "5", "retry": {"base": "1s"}}, "namespace": "x"}
    assert layer.origins["l2", "retry", "base"] == "environment variable GREENCACHE__L2__RETRY__BASE"


def test_other_variables_are_left_alone():
    """Only the prefix is ours, and the profile is no setting."""
    assert read(PATH="/bin", GREENCACHE_TEST_REDIS_URL="x", GREENCACHE_PROFILE="p", L2__URL="x").values == {}


def test_a_variable_set_to_nothing_is_not_set():
    """A compose file passes variables that nobody gave as empty."""
    assert read(GREENCACHE__L2__URL="").values == {}


@pytest.mark.parametrize(
    "name", ["GREENCACHE__", "GREENCACHE____L1", "GREENCACHE__L2__", "GREENCACHE__l2__url"]
)
def test_a_malformed_name_is_refused(name):
    """Names are upper case and none is empty; the value is not shown."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        read(**{name: "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("GREENCACHE_L2_URL", "GREENCACHE__L2__URL"),
        ("GREENCACHE_L2_MAX_CONNECTIONS", "GREENCACHE__L2__MAX_CONNECTIONS"),
        ("GREENCACHE_L2__URL", "GREENCACHE__L2__URL"),
        ("GREENCACHE_NAMESPACE", "GREENCACHE__NAMESPACE"),
    ],
)
def test_a_single_underscore_is_recognised(wrong, right):
    """A setting that would silently not count is refused, and the right name is given."""
    with pytest.raises(ConfigurationError, match=f"{right}\\?"):
        read(**{wrong: "hunter2"})


def test_two_variables_may_not_contradict_each_other():
    """A section cannot have a value of its own and settings in it."""
    with pytest.raises(ConfigurationError, match="unset one of them") as caught:
        read(GREENCACHE__L2="hunter2", GREENCACHE__L2__URL="redis://h")
    assert "hunter2" not in str(caught.value)
