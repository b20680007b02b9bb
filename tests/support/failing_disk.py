"""A disk that fails: a small library, loaded before a program's own, makes its calls to the disk return errors.

Danger: PostgreSQL's backends inherit it from the postmaster; so does every program that the failing one starts.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".c")


def failing(points: str, folder: Path) -> tuple[dict[str, str], Path]:
    """The environment of a program whose calls are to fail, and the file that must exist for them to.

    Args:
        points: `call:probability:errno`, comma separated, as `fdatasync:0.02:5`.
        folder: where the library is built; the program must be able to read it.

    Skips the test where there is no C compiler.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here, which makes the failing disk: install gcc")
    library, gate = folder / "failing_disk.so", folder / "failing"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True, timeout=60)
    library.chmod(0o755)
    return {"LD_PRELOAD": str(library), "FAILING_DISK": points, "FAILING_DISK_WHILE": str(gate)}, gate
