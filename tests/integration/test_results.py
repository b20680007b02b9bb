"""Results on a real stack: JSON unless a job chose pickle, and what JSON cannot hold is said at once."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from prefect.results import ResultRecordMetadata

from redrive.deployments.dead_letters.redrive import redrive
from redrive.deployments.enqueue import enqueue, wait_for
from redrive.deployments.job_result import result_of
from tests.support.job_stack import JobStack, effects
from tests.support.jobs import RESULTS
from tests.support.prefect_client import api

PATIENCE = 120


def serializer_of(run_id: UUID) -> str:
    """What the stored result of a job names as its serializer."""
    state = api().read_flow_run(run_id).state
    assert state is not None
    assert isinstance(state.data, ResultRecordMetadata)
    return state.data.serializer.type


@pytest.mark.parametrize("name", ["plain", "data", "model"])
def test_results_are_stored_as_json_and_read_as_they_were(job_stack: JobStack, name: str) -> None:
    job = enqueue("test-result", {"folder": str(job_stack.folder("result")), "name": name, "of": "job"})

    end = wait_for(job.id, timeout=PATIENCE)

    assert serializer_of(job.id) == "json"
    found = result_of(end.state)
    assert found is not None
    assert found.value == RESULTS[name]


@pytest.mark.parametrize(
    ("name", "of", "who"),
    [
        ("numbered", "step", "step 'hand_back'"),
        ("callable", "step", "step 'hand_back'"),
        ("numbered", "job", "job 'test-result'"),
    ],
)
def test_result_that_json_cannot_hold_is_one_permanent_error_after_the_work(
    job_stack: JobStack, name: str, of: str, who: str
) -> None:
    folder = job_stack.folder("unstorable")

    job = enqueue("test-result", {"folder": str(folder), "name": name, "of": of})

    end = wait_for(job.id, timeout=PATIENCE)
    assert end.state is not None
    assert end.state.name == "DeadLetter"
    assert f"{who} did its work, but its result cannot be stored as JSON" in (end.state.message or "")
    row = job_stack.dead_letter(job.id)
    assert (row.reason, row.tries) == ("permanent", 1)
    assert "result_serializer='pickle'" in row.message
    assert len(effects(folder, "body")) == 1, "it was tried again"
    assert len(effects(folder, "work" if of == "job" else f"step-{name}")) == 1


def test_job_that_chose_pickle_keeps_what_its_steps_returned_as_it_was(job_stack: JobStack) -> None:
    folder = job_stack.folder("pickled")
    job = enqueue("test-pickled", {"folder": str(folder)})

    end = wait_for(job.id, timeout=PATIENCE)

    found = result_of(end.state)
    assert serializer_of(job.id) == "pickle"
    assert found is not None
    assert found.value == {1: "one"}
    assert len(effects(folder, "step-numbered")) == 1, "a completed step ran again"


def test_result_that_an_earlier_version_pickled_is_read_when_its_job_is_redriven(job_stack: JobStack) -> None:
    folder = job_stack.folder("upgraded")
    job = enqueue("test-upgraded", {"folder": str(folder)})
    wait_for(job.id, timeout=PATIENCE)
    row = job_stack.dead_letter(job.id)

    Path(folder, "mended").touch()
    with job_stack.ledger() as ledger:
        redrive(ledger, row.id, who="ada")
    end = wait_for(job.id, timeout=PATIENCE)

    found = result_of(end.state)
    assert found is not None
    assert found.value == "one"
    assert serializer_of(job.id) == "json"
    assert len(effects(folder, "kept")) == 1, "a completed step ran again"
