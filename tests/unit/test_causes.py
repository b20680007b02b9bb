"""Why a job is a dead letter is read from its labels, where whoever decided it wrote it, and from no sentence of ours."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from redrive.blocks.prefect.labels import ERROR, ERROR_MESSAGE, REASON
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.states import DEAD_LETTER
from redrive.infra.keeper import causes
from redrive.infra.keeper.causes import without_report


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run has no log lines: its log is asked for at a server, which no unit test has."""
    monkeypatch.setattr(causes, "ask", lambda _request: [])


def ended(state_name: str, message: str, labels: dict[str, Any]) -> Run:
    state = {"id": str(uuid4()), "type": "FAILED", "name": state_name, "message": message}
    return Run.of({"id": str(uuid4()), "flow_id": str(uuid4()), "state": state, "labels": labels}, job="sync")


@pytest.mark.parametrize("reason", ["tries", "permanent", "deadline"])
def test_a_verdict_whose_report_was_lost_is_read_from_the_labels(reason: str) -> None:
    run = ended(DEAD_LETTER, "any words", {REASON: reason, ERROR: "OSError", ERROR_MESSAGE: "disk full"})

    cause = without_report(run)

    assert (cause.reason, cause.error_type, cause.message) == (reason, "OSError", "disk full")


def test_a_job_that_crashed_too_often_is_recognised_by_what_ended_its_process() -> None:
    run = ended(DEAD_LETTER, "any words", {REASON: "crash", ERROR: "worker w: killed by SIGKILL"})

    cause = without_report(run)

    assert (cause.reason, cause.error_type, cause.message) == ("crash", "Crashed", "worker w: killed by SIGKILL")


def test_labels_of_a_dead_letter_before_say_nothing_of_a_run_that_failed_before_our_code() -> None:
    run = ended("Failed", "Flow cannot be loaded: ImportError: no module x", {REASON: "tries", ERROR: "OSError"})

    cause = without_report(run)

    assert (cause.reason, cause.error_type) == ("unstartable", "ImportError")
