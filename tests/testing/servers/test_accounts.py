"""Promises about accounts and where they may go."""

import os
import pathlib
import tempfile

import pytest

from greencache.testing.servers import accounts
from greencache.testing.servers.accounts import Account
from greencache.testing.servers.errors import NotHere

OWNER = Account("owner", os.getuid(), os.getgid())
GROUP = Account("group", 64_001, os.getgid())
OTHER = Account("other", 64_001, 64_001)


@pytest.mark.parametrize(
    ("mode", "allowed"),
    [(0o700, {OWNER}), (0o750, {OWNER, GROUP}), (0o705, {OWNER, OTHER}), (0o711, {OWNER})],
)
def test_a_folder_is_open_to_those_its_mode_names(mode, allowed):
    """As the kernel judges: the first of owner, group and others that fits decides alone."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = pathlib.Path(name)
        folder.chmod(mode)
        assert {each for each in (OWNER, GROUP, OTHER) if accounts.can_reach(each, folder)} == allowed


def test_every_folder_on_the_way_counts():
    """An open folder in a closed one is closed."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        inner = pathlib.Path(name) / "inner"
        inner.mkdir()
        inner.chmod(0o755)
        assert not accounts.can_reach(OTHER, inner)
        pathlib.Path(name).chmod(0o711)
        assert accounts.can_reach(OTHER, inner)


def test_we_reach_what_we_reach():
    """Without another account there is nothing to find out."""
    assert accounts.can_reach(None, pathlib.Path("/nowhere"))


def test_a_closed_folder_for_temporary_files_is_passed_over(tmp_path, monkeypatch):
    """TMPDIR below /root is of no use to another account."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(closed))
    monkeypatch.setattr(accounts, "hand_over", lambda path, account: None)
    folder = accounts.new_folder("greencache-test-", OTHER)
    folder.rmdir()
    assert folder.parent in (pathlib.Path("/tmp"), pathlib.Path("/var/tmp"))  # noqa: S108
    monkeypatch.setattr(accounts, "can_reach", lambda account, path: False)
    with pytest.raises(NotHere, match="other can reach none of"):
        accounts.new_folder("greencache-test-", OTHER)
