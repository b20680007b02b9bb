"""A profile as people find it: the file of a run, and the artifact in Prefect that names its guilty places."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redrive.blocks.core.plain_text import code_block

#: Profiles that were made without somebody asking, which are kept.
KEPT = 100
#: In the names of those.
BY_ITSELF = "slow"


def file_of(run_id: object, folder: Path, kind: str) -> Path:
    """Where the profile of a run goes: SVG, or HTML for memory."""
    ending = "html" if kind == "memory" else "svg"
    return folder / f"{run_id}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{kind}.{ending}"


def artifact(
    run_id: object, kind: str, message: str, rows: Sequence[tuple[str, str, str]], file: Path
) -> dict[str, Any]:
    """What Prefect is to show beside the run: `rows` of figures and places, and where the whole report is."""
    lines = [f"{first:>8}  {second:>11}  {where}" for first, second, where in rows]
    return {
        "type": "markdown",
        "key": f"{kind}-{str(run_id)[:8]}",
        "description": message,
        "data": f"{code_block(chr(10).join(lines))}\n\nWhole report: `{file}`",
        "flow_run_id": str(run_id),
    }


def forget_oldest(folder: Path, most: int = KEPT) -> None:
    """Keep the newest of those that nobody asked for."""
    found = sorted(folder.glob(f"*-{BY_ITSELF}.svg"), key=lambda file: file.stat().st_mtime)
    for file in found[: max(0, len(found) - most)]:
        file.unlink(missing_ok=True)
