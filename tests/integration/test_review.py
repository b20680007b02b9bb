"""The review of dead letters on a real server: it reports, asks, carries out, and a question that nobody answers ends quietly."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from redrive.blocks.core.settings import settings
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter
from redrive.deployments.dead_letters.review_questions import open_questions
from redrive.deployments.enqueue import enqueue, wait_for
from redrive.infra.keeper.processes import JobProcesses
from redrive.infra.keeper.service import Keeper
from tests.support.job_stack import JobStack, effects
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

PATIENCE = 120


@pytest.fixture
def dead_letter(job_stack: JobStack) -> DeadLetter:
    """A dead letter whose job completes when it is redriven."""
    folder = job_stack.folder("review")
    job = enqueue("test-fail-once", {"folder": str(folder), "message": "the review is about this"})
    wait_for(job.id, timeout=PATIENCE)
    row = job_stack.dead_letter(job.id)
    (folder / "mended").touch()
    return row


@pytest.fixture
def question(job_stack: JobStack) -> UUID:
    """A review that asks about at least one dead letter: the one that a test before left open, or a new one."""
    if not (asking := open_questions()):
        with job_stack.ledger() as ledger:
            is_empty = not ledger.find(Filter(status="open"), limit=1).rows
        if is_empty:
            job = enqueue("test-permanent", {"folder": str(job_stack.folder("review"))})
            job_stack.dead_letter(job.id, timeout=PATIENCE)
        wait_for_state(review(), "Suspended")
        asking = open_questions()
    return asking[0].id


def review(**parameters: Any) -> UUID:
    deployment = api().read_deployment_by_name("dead-letter-review/dead-letter-review")
    return api().create_flow_run_from_deployment(deployment.id, parameters=parameters).id


def state_of(run_id: UUID) -> str:
    state = api().read_flow_run(run_id).state
    return str(state.name) if state else ""


def wait_for_state(run_id: UUID, name: str) -> None:
    wait_until(lambda: state_of(run_id) == name, PATIENCE, f"the review to be {name}")


def answer(run_id: UUID, **decision: Any) -> None:
    """As Prefect's form does, once there is one: the server checks it and wakes the run."""

    def accepted() -> bool:
        body = {"run_input": decision}
        told = api().request("POST", "/flow_runs/{id}/resume", path_params={"id": run_id}, json=body).json()
        # Prefect suspends a run first, and keeps its form right after.
        has_form = "schema not found" not in told["details"].get("reason", "")
        assert told["status"] == "ACCEPT" or not has_form, told
        return told["status"] == "ACCEPT"

    wait_until(accepted, PATIENCE, "the form to be there")


@contextmanager
def impatient_keeper(stack: JobStack) -> Iterator[None]:
    """A second keeper that gives nobody time to answer."""
    stop = threading.Event()
    with stack.ledger() as ledger:
        keeper = Keeper(settings(), ledger, patience=timedelta(0))
        thread = threading.Thread(target=keeper.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize(
    ("decision", "complaint"), [({"act": "discard"}, "who"), ({"who": "ada", "act": "redive"}, "does not match")]
)
def test_answer_that_does_not_fit_is_refused_and_the_question_stays(
    question: UUID, decision: dict[str, str], complaint: str
) -> None:
    body = {"run_input": decision}

    def refusal() -> str | None:
        told = api().request("POST", "/flow_runs/{id}/resume", path_params={"id": question}, json=body).json()
        assert told["status"] == "REJECT"
        reason = str(told["details"]["reason"])
        # Prefect suspends a run first, and keeps its form right after.
        return None if "schema not found" in reason else reason

    assert complaint in (wait_until(refusal, PATIENCE, "the form to be there") or "")
    assert state_of(question) == "Suspended"


def test_keepers_patience_leaves_a_fresh_question_open(question: UUID) -> None:
    state = api().read_flow_run(question).state

    assert state is not None
    assert state.name == "Suspended"
    assert state.state_details.pause_timeout is None, "Prefect would fail it"


def test_newer_review_asks_instead_of_an_older_one(question: UUID) -> None:
    newer = review()

    wait_for_state(newer, "Suspended")
    assert state_of(question) == "Cancelled"
    assert [run.id for run in open_questions()] == [newer]


def test_question_that_nobody_answers_ends_quietly(job_stack: JobStack, question: UUID) -> None:
    with job_stack.ledger() as ledger:
        asked_about = ledger.find(Filter(status="open"), limit=500).rows

    with impatient_keeper(job_stack):
        wait_for_state(question, "Cancelled")

    history = api().read_flow_run_states(question)
    assert {"Failed", "Crashed"}.isdisjoint(state.name for state in history)
    (last,) = (state for state in history if state.name == "Cancelled")
    assert "nobody decided" in (last.message or "")
    assert asked_about
    for row in asked_about:
        assert job_stack.dead_letter(row.run_id).status == "open"


def test_decision_is_carried_out_and_recorded(job_stack: JobStack, dead_letter: DeadLetter) -> None:
    run_id = review()
    wait_for_state(run_id, "Suspended")

    answer(run_id, who="ada", act="redrive", fingerprint=dead_letter.fingerprint[:8], why="mended")

    wait_for_state(run_id, "Completed")
    row = job_stack.dead_letter(dead_letter.run_id, status="resolved", timeout=PATIENCE)
    assert (row.redriven_by, row.redriven_why) == ("ada", "mended")
    assert len(effects(job_stack.home.parent / dead_letter.parameters["folder"], "mended-runs")) == 1


@pytest.mark.slow
def test_review_that_is_killed_while_it_acts_goes_on_and_asks_nobody_twice(job_stack: JobStack) -> None:
    folder = job_stack.folder("killed")
    jobs = [enqueue("test-fail-once", {"folder": str(folder), "message": "the review is killed"}) for _ in range(4)]
    rows = [job_stack.dead_letter(job.id, timeout=PATIENCE) for job in jobs]
    (folder / "mended").touch()
    run_id = review()
    wait_for_state(run_id, "Suspended")
    answer(run_id, who="ada", act="redrive", fingerprint=rows[0].fingerprint, pace=0.5, why="mended")
    with job_stack.ledger() as ledger:
        mine = Filter(fingerprint=rows[0].fingerprint)
        acted = lambda: any(row.status != "open" for row in ledger.find(mine).rows)  # noqa: E731
        wait_until(acted, PATIENCE, "the review to act")

        JobProcesses.snapshot(job_stack.settings).kill(run_id)

        wait_for_state(run_id, "Completed")
        batches = [act for act in ledger.batches() if act.batch_id == ledger.get(rows[0].id).batch_id]
    assert [(act.count, act.why) for act in batches] == [(4, "mended")]
    for job in jobs:
        assert job_stack.dead_letter(job.id, status="resolved", timeout=PATIENCE).redrives == 1
    names = [str(state.name) for state in api().read_flow_run_states(run_id)]
    assert "Crashed" in names
    assert names.count("Suspended") == 1


def test_scheduled_review_only_reports(job_stack: JobStack, dead_letter: DeadLetter) -> None:
    run_id = review(ask=False)

    wait_for_state(run_id, "Completed")

    body = {"artifacts": {"flow_run_id": {"any_": [str(run_id)]}}}
    artifacts = api().request("POST", "/artifacts/filter", json=body).json()
    (table,) = (one for one in artifacts if one["key"] == "dead-letters")
    assert dead_letter.fingerprint in table["data"]
