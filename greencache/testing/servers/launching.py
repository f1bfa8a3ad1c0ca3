"""How server programs are run."""

import os
import pathlib
from typing import Any

from greencache.testing.servers.accounts import Account

__all__ = ["popen_arguments"]


def popen_arguments(folder: pathlib.Path, account: Account | None) -> dict[str, Any]:
    """Return the arguments of `subprocess.Popen` for a server program.

    It runs in its folder, deaf to Ctrl-C, in English, and as its account.

    Args:
        folder: The server's.
        account: As whom it runs; `None` for ourselves.
    """
    arguments = account.popen_arguments() if account is not None else {}
    return {"cwd": folder, "env": os.environ | {"LC_ALL": "C"}, "start_new_session": True, **arguments}
