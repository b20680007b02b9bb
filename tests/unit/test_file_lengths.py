"""A file has one noun and at most 250 lines; what is longer is named here, and may not grow."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

LIMIT = 250

#: Tables of flows and of calls, of which each part is short. Lines that they have.
LONGER = {
    "tests/support/jobs.py": 404,
    "tests/support/plain_prefect.py": 410,
    "tests/support/warm_flows.py": 418,
}


def test_no_file_is_longer_than_it_may_be() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],  # noqa: S607  (whichever is there)
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = {
        name: len((ROOT / name).read_text().splitlines()) for name in listed.stdout.split() if (ROOT / name).exists()
    }

    assert len(lines) > len(LONGER)
    assert {name: length for name, length in lines.items() if length > LONGER.get(name, LIMIT)} == {}
    assert all(lines[name] > LIMIT for name in LONGER), "short enough now: take it out of LONGER"
