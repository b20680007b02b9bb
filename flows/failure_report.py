"""The report a dead job leaves on its run: error, traceback and tries, for the operator in Prefect's UI and for the keeper.

Danger: it is read by people, so secrets are masked before it is written.
"""

from __future__ import annotations

import json
import re
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import prefect
from prefect.client.schemas.actions import ArtifactCreate

from redrive.blocks.masking import mask_text
from redrive.blocks.prefect_api import api
from redrive.flows.attempt import Attempt
from redrive.flows.decision import Bury

#: Type of the artifact: Prefect's UI renders it on the run's page.
ARTIFACT_TYPE = "markdown"
#: Marks our artifact among others of the run.
MARK = "redrive.failure"
#: Keeps a `-->` in a message from ending the comment; JSON reads it back.
GREATER = "\\u003e"
#: Characters of a traceback that are kept, from its end, where the cause stands.
TRACEBACK_LIMIT = 20_000
MESSAGE_LIMIT = 4_000


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

    def as_comment(self) -> str:
        """The report for programs: in Markdown a comment is not shown. Prefect cuts an artifact's metadata at 500 characters."""
        text = json.dumps({**asdict(self), "run_id": str(self.run_id)})
        return f"<!-- {MARK} {text.replace('>', GREATER)} -->"

    @classmethod
    def from_markdown(cls, text: str) -> FailureReport | None:
        """The report in an artifact's text; None if there is none or it was written by another version."""
        found = re.search(rf"<!-- {re.escape(MARK)} (\{{.*\}}) -->", text)
        try:
            values = json.loads(found[1]) if found else None
            return cls(**{**values, "run_id": UUID(values["run_id"])}) if values else None
        except (json.JSONDecodeError, TypeError, KeyError, ValueError):
            return None

    def markdown(self, said: str) -> str:
        where = f"In step **{self.step}**." if self.step else "In the job's own code, outside of its steps."
        return (
            f"## {said}\n\n**{self.error_type}**: {self.message}\n\n{where}\n\n```text\n{self.traceback}\n```\n\n"
            f"See it with `redrive dead show {self.run_id}`; when the cause is mended, `redrive dead redrive {self.run_id}`.\n\n"
            f"{self.as_comment()}"
        )


#: Where the frames come from that are the same for every failure: Prefect's engine, and the two decorators.
ENGINE = (
    str(Path(prefect.__file__).parent),
    str(Path(__file__).with_name("step.py")),
    str(Path(__file__).with_name("job.py")),
)


def report_failure(attempt: Attempt, error: BaseException, *, verdict: Bury, step: str | None) -> None:
    """Write the report as an artifact of the run."""
    report = FailureReport(
        run_id=attempt.id,
        error_type=type(error).__qualname__,
        message=mask_text(str(error))[:MESSAGE_LIMIT],
        traceback=mask_text(_own_traceback(error))[-TRACEBACK_LIMIT:],
        step=step,
        reason=verdict.reason,
        tries=verdict.tries,
    )
    api().create_artifact(
        ArtifactCreate(
            type=ARTIFACT_TYPE,
            description=verdict.message,
            data=report.markdown(verdict.message),
            flow_run_id=attempt.id,
        )
    )


def _own_traceback(error: BaseException) -> str:
    """The traceback without the engine's frames, which are the same for every failure and say nothing."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=False)
    _drop_engine_frames(whole)
    return "".join(whole.format())


def _drop_engine_frames(one: traceback.TracebackException | None) -> None:
    seen: set[int] = set()
    todo: list[Any] = [one]
    while todo:
        part = todo.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        kept = [frame for frame in part.stack if not frame.filename.startswith(ENGINE)]
        if kept:
            part.stack[:] = kept
        todo += [part.__cause__, part.__context__]
