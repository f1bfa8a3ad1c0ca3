"""What the fault tests share."""

import pytest

from tests.faults.scene import Scene


@pytest.fixture
def scene(redis_servers):
    """A scene of this test's own."""
    scene = Scene(redis_servers)
    yield scene
    scene.close()
