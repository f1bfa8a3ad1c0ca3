"""What the fault tests share."""

import contextlib

import pytest

from tests.faults.scene import Scene
from tests.faults.server_rig import Rig


@pytest.fixture
def scene(redis_servers):
    """A scene of this test's own."""
    scene = Scene(redis_servers)
    yield scene
    scene.close()


@pytest.fixture
def new_rig(redis_servers, is_long):
    """Make the rig of a fault."""
    with contextlib.ExitStack() as stack:
        yield lambda fault: Rig(redis_servers, stack, fault, fault.longer if is_long else fault.seconds)
