"""Who cares for each job type, and what to do when it fails: as registered from here, for commands that must not import its code.

Danger: a copy for people, written by `redrive up` into REDRIVE_HOME; on another host there is none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from redrive.deployments.job_type import JobType


@dataclass(frozen=True, kw_only=True)
class Care:
    """Owner and runbook of a job type; empty where none is named."""

    owner: str = ""
    runbook: str = ""


def remember_care(home: Path, jobs: Iterable[JobType]) -> None:
    """Write down who cares for these job types."""
    file = _file(home)
    written = file.with_suffix(".new")
    written.write_text(
        json.dumps({job.name: {"owner": job.owner, "runbook": job.runbook} for job in jobs if job.owner or job.runbook})
    )
    written.replace(file)


def care_of(home: Path, job: str) -> Care:
    """Who cares for a job type, as far as is known here."""
    try:
        found = json.loads(_file(home).read_text())[job]
        return Care(owner=str(found["owner"]), runbook=str(found["runbook"]))
    except (OSError, ValueError, KeyError, TypeError):
        # Nothing was registered from here, or nobody named.
        return Care()


def _file(home: Path) -> Path:
    return home / "job-care.json"
