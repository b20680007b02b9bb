"""Writing the report that a dead job leaves on its run.

Danger: it is read by people, so secrets are masked before it is written.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import prefect

from redrive.blocks.core.decision import GiveUp
from redrive.blocks.core.fingerprint import fingerprint
from redrive.blocks.core.masking import mask_text
from redrive.blocks.core.plain_text import markdown
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.labels import ERROR, ERROR_MESSAGE, REASON, TEXT_LIMIT
from redrive.blocks.prefect.requests import artifacts
from redrive.deployments.dead_letters.failure_report import ARTIFACT_TYPE, MESSAGE_LIMIT, TRACEBACK_LIMIT, FailureReport
from redrive.flows.engine.attempt import Attempt

#: Where the frames come from that are the same for every failure: Prefect's engine, and what stands between it and the work.
ENGINE = (
    str(Path(prefect.__file__).parent),
    *(str(Path(__file__).with_name(f"{name}.py")) for name in ("job", "tries", "step", "step_body")),
)


def report_failure(attempt: Attempt, error: BaseException, *, verdict: GiveUp, step: str | None) -> None:
    """Write the report as an artifact of the run."""
    report = FailureReport(
        run_id=attempt.id,
        error_type=type(error).__qualname__,
        message=mask_text(str(error))[:MESSAGE_LIMIT],
        traceback=mask_text(own_traceback(error))[-TRACEBACK_LIMIT:],
        step=step,
        reason=verdict.reason,
        tries=verdict.tries,
        attempt=attempt.claim or "",
    )
    ask(
        artifacts.create(
            {
                "type": ARTIFACT_TYPE,
                "description": markdown(verdict.message),
                "data": report.markdown(verdict.message),
                "flow_run_id": str(attempt.id),
            }
        )
    )


def fingerprint_of(attempt: Attempt, error: BaseException, *, step: str | None) -> str:
    """The fingerprint that the ledger will give a dead letter with this error."""
    return fingerprint(
        job=attempt.job.name,
        error_type=type(error).__qualname__,
        message=mask_text(str(error))[:MESSAGE_LIMIT],
        traceback=mask_text(own_traceback(error))[-TRACEBACK_LIMIT:],
        step=step,
    )


def verdict_labels(verdict: GiveUp, error: BaseException) -> dict[str, str]:
    """The labels that tell the keeper why the job is a dead letter, should the report be lost."""
    return {
        REASON: verdict.reason,
        ERROR: type(error).__qualname__,
        ERROR_MESSAGE: mask_text(str(error))[:TEXT_LIMIT],
    }


def own_traceback(error: BaseException) -> str:
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
