"""Job variables of deployments: the catalog's, except where somebody changed one in Prefect since the catalog was last registered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class RegisteredVariables:
    """What Redrive itself registered last, by job type, remembered in REDRIVE_HOME; so that edits of people are told apart."""

    def __init__(self, home: Path) -> None:
        self._file = home / "job-variables.json"
        try:
            found = json.loads(self._file.read_text())
        except (OSError, ValueError):
            # Nothing was registered from here yet, or nobody knows what.
            found = {}
        self._last: dict[str, dict[str, Any]] = found if isinstance(found, dict) else {}

    def merged(self, job: str, wanted: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
        """The variables that a deployment is to have.

        Args:
            wanted: those of the catalog.
            there: those that its deployment has in Prefect now.
        """
        last = self._last.get(job, {})
        edited = {name: value for name, value in there.items() if name not in last or last[name] != value}
        self._last[job] = dict(wanted)
        return {**wanted, **edited}

    def keep(self) -> None:
        """Remember it for the next time."""
        written = self._file.with_suffix(".new")
        written.write_text(json.dumps(self._last, indent=1, sort_keys=True))
        written.replace(self._file)
