"""Where server programs lie: on the PATH, in a distribution's folders, inside an installed wheel."""

import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator

from greencache.testing.servers.errors import NotHere

__all__ = ["all_in_wheel", "in_wheel", "on_path", "postgres_folder", "require_posix", "version_line"]

# Debian and Ubuntu keep the server programs off the PATH, one folder a version.
_DEBIAN = pathlib.Path("/usr/lib/postgresql")


def on_path(*names: str, but_not: Collection[pathlib.Path] = ()) -> pathlib.Path:
    """Return the first of some programs that the PATH leads to.

    Args:
        names: File names, the best first.
        but_not: Files that do not count, unless a link leads to them.

    Raises:
        NotHere: None of them is there.
    """
    require_posix()
    for name in names:
        for folder in os.get_exec_path():
            found = shutil.which(name, path=folder)
            if found and pathlib.Path(folder).resolve() / name not in but_not:
                return pathlib.Path(found).resolve()
    raise NotHere(f"no {' or '.join(names)} on the PATH")


def in_wheel(distribution: str, *names: str) -> pathlib.Path:
    """Return a program that came with an installed distribution, without importing anything of it.

    Args:
        distribution: Its name on the package index.
        names: File names, any of which will do.

    Raises:
        NotHere: The distribution is not installed, or holds no such program.
    """
    require_posix()
    for path in _files_of(distribution):
        if path.name in names and os.access(path, os.X_OK):
            return path
    raise NotHere(f"{distribution} is installed but brings no executable {' or '.join(names)}")


def all_in_wheel(distribution: str) -> list[pathlib.Path]:
    """Return all files of a distribution; none where it is not installed."""
    try:
        return list(_files_of(distribution))
    except NotHere:
        return []


def _files_of(distribution: str) -> Iterator[pathlib.Path]:
    try:
        files = importlib.metadata.distribution(distribution).files or []
    except importlib.metadata.PackageNotFoundError:
        raise NotHere(f"{distribution} is not installed") from None
    return (pathlib.Path(str(file.locate())).resolve() for file in files)


def postgres_folder() -> pathlib.Path:
    """Return the folder of an installed PostgreSQL's `initdb` and `postgres`.

    Raises:
        NotHere: There is none on the PATH, none that `pg_config` names, none in Debian's folders.
    """
    require_posix()
    for folder in _postgres_folders():
        # Absolute: a pg_config without an answer must not lead to the current folder.
        if folder.is_absolute() and all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            return folder
    raise NotHere(f"no initdb with postgres on the PATH, in `pg_config --bindir`, or in {_DEBIAN}/*/bin")


def _postgres_folders() -> Iterator[pathlib.Path]:
    if initdb := shutil.which("initdb"):
        yield pathlib.Path(initdb).resolve().parent
    if pg_config := shutil.which("pg_config"):
        yield pathlib.Path(_output_of(pg_config, "--bindir"))
    yield from sorted(_DEBIAN.glob("*/bin"), key=_version_of_folder, reverse=True)


def _version_of_folder(folder: pathlib.Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.parent.name))


def version_line(program: pathlib.Path) -> str:
    """Return what a program answers to `--version`."""
    return _output_of(program, "--version")


def _output_of(program: pathlib.Path | str, argument: str) -> str:
    answer = subprocess.run([program, argument], capture_output=True, text=True, check=False, timeout=10)
    return answer.stdout.strip()


def require_posix() -> None:
    """Refuse to start programs where signals and process sessions do not exist.

    Raises:
        NotHere: On Windows.
    """
    if os.name != "posix":
        raise NotHere("servers are started as programs on Linux and macOS only; use Docker here")
