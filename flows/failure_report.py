"""The report a dead job leaves on its run: error, traceback and tries, for the operator in Prefect's UI and for the keeper.

Danger: it is read by people, so secrets are masked before it is written.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.client.schemas.actions import ArtifactCreate

from redrive.blocks.masking import mask_text
from redrive.blocks.prefect_api import api
from redrive.flows.attempt import Attempt
from redrive.flows.decision import Bury

#: Type of the artifact: Prefect's UI renders it on the run's page.
ARTIFACT_TYPE = "markdown"
#: Marks our artifact among others of the run.
MARK = "redrive.failure"
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

    def metadata(self) -> dict[str, str]:
        return {
            "kind": MARK,
            "error_type": self.error_type,
            "message": self.message,
            "traceback": self.traceback,
            "step": self.step or "",
            "reason": self.reason,
            "tries": str(self.tries),
        }

    def markdown(self, said: str) -> str:
        where = f"In step **{self.step}**." if self.step else "In the job's own code, outside of its steps."
        return (
            f"## {said}\n\n**{self.error_type}**: {self.message}\n\n{where}\n\n```text\n{self.traceback}\n```\n\n"
            f"See it with `redrive dead show {self.run_id}`; when the cause is mended, `redrive dead redrive {self.run_id}`."
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
            metadata_=report.metadata(),
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
        kept = [f for f in part.stack if "/prefect/" not in f.filename and "/redrive/flows/step" not in f.filename]
        if kept:
            part.stack[:] = kept
        todo += [part.__cause__, part.__context__]
