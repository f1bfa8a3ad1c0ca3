"""As whom a server runs, and where that account may go: PostgreSQL refuses to run as root."""

import dataclasses
import os
import pathlib
import stat
import tempfile
from typing import Any

from greencache.testing.servers.errors import NotHere

__all__ = ["Account", "can_reach", "hand_over", "new_folder", "unprivileged_account"]

_NAMES = ("postgres", "nobody", "daemon")


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """An account other than our own.

    Args:
        name: As the system lists it.
        uid: User id.
        gid: Group id.
    """

    name: str
    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, Any]:
        """Return what `subprocess.Popen` needs to run a program as this account, without our groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def unprivileged_account() -> Account | None:
    """Return the account to run a server as that refuses root; `None` when we are not root ourselves.

    Raises:
        NotHere: We are root and the system lists no other account that would do.
    """
    if os.geteuid() != 0:
        return None
    import pwd  # absent on Windows

    for name in _NAMES:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        if found.pw_uid != 0:
            return Account(name, found.pw_uid, found.pw_gid)
    raise NotHere(f"PostgreSQL refuses to run as root, and none of the accounts {', '.join(_NAMES)} exists")


def can_reach(account: Account | None, path: pathlib.Path) -> bool:
    """Say whether an account may use a path: pass through its folders, read it, and run or enter it."""
    if account is None:
        return True
    path = path.resolve()
    return _allows(account, path, 0o5) and all(_allows(account, folder, 0o1) for folder in path.parents)


def _allows(account: Account, path: pathlib.Path, wanted: int) -> bool:
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid == account.uid:
        mode >>= 6
    elif found.st_gid == account.gid:
        mode >>= 3
    return mode & wanted == wanted


def new_folder(prefix: str, account: Account | None) -> pathlib.Path:
    """Make a temporary folder that belongs to an account and that it can reach.

    Args:
        prefix: How the folder's name begins.
        account: The owner; `None` for ourselves.

    Raises:
        NotHere: No folder for temporary files is open to the account.
    """
    places = [pathlib.Path(each) for each in (tempfile.gettempdir(), "/tmp", "/var/tmp")]  # noqa: S108
    for place in places:
        if place.is_dir() and can_reach(account, place):
            folder = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=place))
            hand_over(folder, account)
            return folder
    name = account.name if account else "this account"
    raise NotHere(f"{name} can reach none of {', '.join(map(str, places))}; set TMPDIR to an open folder")


def hand_over(path: pathlib.Path, account: Account | None) -> None:
    """Make an account the owner of a path and of all below it."""
    if account is None:
        return
    os.chown(path, account.uid, account.gid)
    for each in path.rglob("*"):
        os.chown(each, account.uid, account.gid, follow_symlinks=False)
