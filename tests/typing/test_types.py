"""The files beside this one are type-checked by mypy, as a user's code would be."""

import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", sorted(HERE.glob("check_*.py")), ids=lambda path: path.stem)
def test_what_type_checkers_see(path, tmp_path):
    """Signatures survive, and wrong calls are found: an unused `type: ignore` is an error."""
    # Errors inside the package are found by the type check of the package.
    options = ["--strict", "--follow-imports=silent", "--no-error-summary", f"--cache-dir={tmp_path}"]
    command = [sys.executable, "-m", "mypy", *options, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parents[1], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
