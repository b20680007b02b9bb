"""Where settings come from: an environment, then the stack's own record of its last start."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from redrive.blocks.core.errors import SettingsError
from redrive.blocks.core.nearest import suggestion

PREFIX = "REDRIVE_"

#: Set by the supervisor on what it starts; not settings of a person.
INTERNAL = frozenset({"REDRIVE_COMPONENT", "REDRIVE_STACK"})


def read_values(environ: Mapping[str, str], known: Sequence[str]) -> dict[str, Any]:
    """The values of the known settings, and as `given` the names that the environment has.

    Raises:
        SettingsError: unknown `REDRIVE_*` name, with the nearest known one.
    """
    # An empty value is none, except for the job modules: `REDRIVE_JOBS=` forgets those of the last `redrive up`.
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and (value or name == f"{PREFIX}JOBS")
    }
    for name in INTERNAL:
        given.pop(name.removeprefix(PREFIX).lower(), None)
    for name in given:
        if name not in known:
            raise SettingsError(f"unknown setting {PREFIX}{name.upper()}{_nearest(name, known)}")
    home = Path(given.pop("home", "") or _default_home()).expanduser().absolute()
    return {**_recorded(home), **given, "home": home, "given": frozenset(given)}


def _nearest(name: str, known: Sequence[str]) -> str:
    upper = [one.upper() for one in known]
    return "; " + suggestion(name.upper(), upper, f"known are {PREFIX}{', '.join(upper)}", written=f"{PREFIX}{{}}")


def _default_home() -> Path:
    """`.redrive` in the project: the nearest folder above with one, else with a project file, else our own checkout."""
    here = Path.cwd()
    for mark in (".redrive", "prefect.yaml", "pyproject.toml"):
        for folder in (here, *here.parents):
            if (folder / mark).exists():
                return folder / ".redrive"
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "prefect.yaml").exists():
        return checkout / ".redrive"
    return here / ".redrive"


def _recorded(home: Path) -> dict[str, Any]:
    try:
        recorded = json.loads((home / "stack.json").read_text())
    except (
        OSError,
        json.JSONDecodeError,
    ):  # none yet, or none we may read: `redrive up` says what is wrong with the folder
        return {}
    return {
        name: recorded[name]
        for name in ("host", "prefect_port", "console_port", "metrics_port", "smtp_port", "jobs", "queues")
        if name in recorded
    }
