"""The report a dead job leaves on its run: error, traceback and tries, for the operator in Prefect's UI and for the keeper.

Danger: it travels as a comment in the Markdown of an artifact; programs of another version must be able to read it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from redrive.blocks.core.plain_text import code_block, markdown
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import artifacts

#: Type of the artifact: Prefect's UI renders it on the run's page.
ARTIFACT_TYPE = "markdown"
#: Marks our artifact among others of the run.
MARK = "redrive.failure"
#: Keeps a `-->` in a message from ending the comment; JSON reads it back.
GREATER = "\\u003e"
#: Characters of a traceback that are kept, from its end, where the cause stands.
TRACEBACK_LIMIT = 20_000
MESSAGE_LIMIT = 4_000
#: Prefect's own limit of artifacts a call.
LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class FailureReport:
    """What is known of one final failure."""

    run_id: UUID
    error_type: str
    message: str
    traceback: str
    step: str | None
    reason: str
    tries: int
    #: The attempt that ended so: the id of the Pending state that began it, if its worker told.
    attempt: str = ""

    def as_comment(self) -> str:
        """The report for programs: in Markdown a comment is not shown. Prefect cuts an artifact's metadata at 500 characters."""
        text = json.dumps({**asdict(self), "run_id": str(self.run_id)})
        return f"<!-- {MARK} {text.replace('>', GREATER)} -->"

    @classmethod
    def from_markdown(cls, text: str) -> FailureReport | None:
        """The report in an artifact's text; None if there is none or it was written by another version."""
        # The last one: what stands before it may quote a message, which anybody can have written.
        found = re.findall(rf"<!-- {re.escape(MARK)} (\{{.*\}}) -->", text)
        try:
            values = json.loads(found[-1]) if found else None
            return cls(**{**values, "run_id": UUID(values["run_id"])}) if values else None
        except (json.JSONDecodeError, TypeError, KeyError, ValueError):
            return None

    def markdown(self, detail: str) -> str:
        """The report for people; everything in it that comes from the job is shown as it is, never as markup."""
        where = f"In step **{markdown(self.step)}**." if self.step else "In the job's own code, outside of its steps."
        return (
            f"## {markdown(detail)}\n\n**{markdown(self.error_type)}**: {markdown(self.message)}\n\n{where}\n\n"
            f"{code_block(self.traceback)}\n\n"
            f"See it with `redrive dead show {self.run_id}`; when the cause is fixed, `redrive dead redrive {self.run_id}`.\n\n"
            f"{self.as_comment()}"
        )


def reports_of(run_ids: Sequence[UUID]) -> dict[UUID, FailureReport]:
    """The newest failure report of each run that left one; at most 200 runs."""
    return {run_id: left[0].report for run_id, left in all_reports_of(run_ids).items()}


@dataclass(frozen=True, kw_only=True)
class LeftReport:
    """A report and when it was written, by the server's clock."""

    report: FailureReport
    at: datetime


def all_reports_of(run_ids: Sequence[UUID]) -> dict[UUID, list[LeftReport]]:
    """The failure reports of each run that left some, the newest first; at most 200 runs."""
    answer = _newest(run_ids)
    found = _read(answer)
    if len(answer) == LIMIT:
        # Other artifacts of these runs may have hidden the reports of some.
        for run_id in run_ids:
            if run_id not in found:
                found |= _read(_newest([run_id]))
    return found


def _newest(run_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    body = {
        "artifacts": {"flow_run_id": {"any_": [str(one) for one in run_ids]}, "type": {"any_": [ARTIFACT_TYPE]}},
        "sort": "CREATED_DESC",
        "limit": LIMIT,
    }
    return ask(artifacts.find(body))


def _read(left_there: Sequence[dict[str, Any]]) -> dict[UUID, list[LeftReport]]:
    found: dict[UUID, list[LeftReport]] = {}
    for artifact in left_there:
        report = FailureReport.from_markdown(str(artifact.get("data") or ""))
        # What names another run than the one it lies on was not left by that run.
        if report is not None and str(report.run_id) == artifact.get("flow_run_id"):
            left = LeftReport(report=report, at=datetime.fromisoformat(artifact["created"]))
            found.setdefault(report.run_id, []).append(left)
    return found
