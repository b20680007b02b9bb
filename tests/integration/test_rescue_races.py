"""A rescue that meets somebody who was quicker: whatever became of the run between reading and changing it stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from redrive.blocks.core.errors import Conflict
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.labels import RETRIES, TRIES
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run import Run
from redrive.blocks.process.spent_notes import SpentNotes
from redrive.infra.keeper.recovery import Recovery
from redrive.infra.keeper.rescue import Rescuer
from tests.support.keeperless import Keeperless
from tests.support.waiting import wait_until

CAUSE = "worker w was killed, and so was the job's process"


def after_crash(recovery: Recovery, run: Run) -> object:
    return recovery.after_crash(run, CAUSE)


def start_again(recovery: Recovery, run: Run) -> object:
    return recovery.start_again(run, CAUSE)


def finish_cancellation(recovery: Recovery, run: Run) -> object:
    return recovery.finish_cancellation(run, CAUSE)


@pytest.mark.parametrize(
    ("read", "meanwhile", "rescue"),
    [
        ("RUNNING", "COMPLETED", after_crash),
        ("RUNNING", "SCHEDULED", after_crash),
        ("RUNNING", "CANCELLED", after_crash),
        ("CRASHED", "SCHEDULED", after_crash),
        ("PENDING", "RUNNING", start_again),
        ("CANCELLING", "COMPLETED", finish_cancellation),
    ],
)
def test_what_a_run_became_meanwhile_stands(
    keeperless: Keeperless, read: str, meanwhile: str, rescue: Callable[[Recovery, Run], object]
) -> None:
    run = keeperless.run(keeperless.deployment("jobs"))
    keeperless.set(run, read)
    as_read = keeperless.read(run)
    keeperless.set(run, meanwhile, message="somebody was quicker")
    keeperless.label(run, prefect__worker__name="the-next")
    before = keeperless.read(run)

    with pytest.raises(Conflict):
        rescue(Recovery(settings(), keeperless.ledger), as_read)

    after = keeperless.read(run)
    assert (after.state_id, after.message) == (before.state_id, "somebody was quicker")
    assert after.labels.worker == "the-next"
    assert keeperless.rows() == {}


def test_retry_pressed_while_the_rescue_waits_for_its_lock_is_not_undone(
    keeperless: Keeperless, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = keeperless.run(keeperless.deployment("jobs"))
    keeperless.set(run, "CRASHED")
    lock, pressed = keeperless.ledger.rescue_lock, list[UUID]()

    @contextmanager
    def waited_for(run_id: UUID, **given: Any) -> Iterator[None]:
        with lock(run_id, **given):
            if run_id == run:
                # As Prefect's own button does it, and the run dies again at once: by its state's name nothing has changed.
                keeperless.set(run, "SCHEDULED", "AwaitingRetry")
                keeperless.set(run, "CRASHED", message="once more")
                pressed.append(run)
            yield

    monkeypatch.setattr(keeperless.ledger, "rescue_lock", waited_for)
    rescuer = Rescuer(settings(), keeperless.ledger)
    done: list[object] = []

    def judged() -> bool:
        done.extend(rescuer.sweep(now=time.monotonic()))
        return bool(pressed)

    wait_until(judged, 20, "the rescue to come to it")

    assert done == []
    now = keeperless.read(run)
    assert (now.state_type, now.message, now.labels.crashes) == ("CRASHED", "once more", 0)
    assert keeperless.rows() == {}


@pytest.mark.parametrize(
    ("pool", "flow", "after"), [("jobs", "kept", "DeadLetter"), ("ops", "dead-letter-review", "AwaitingRetry")]
)
def test_rescued_run_carries_no_worker_and_no_process_for_the_next_start(
    keeperless: Keeperless, pool: str, flow: str, after: str
) -> None:
    """With the name of the dead worker on it, a run that somebody retries would be lost again before the next one signs."""
    run = keeperless.run(keeperless.deployment(pool, flow=flow))
    keeperless.label(run, prefect__worker__name="a-dead-worker", redrive__attempt="its-claim")
    ask(requests.update(run, {"infrastructure_pid": "host:7"}))
    keeperless.set(run, "CRASHED")
    rescuer = Rescuer(settings(), keeperless.ledger)

    wait_until(lambda: rescuer.sweep(now=time.monotonic()), 20, "the rescue")

    now = keeperless.read(run)
    assert now.state_name == after
    assert (now.labels.worker, now.labels.attempt, now.pid) == (None, None, None)
    assert [row.worker for row in keeperless.ledger.find().rows] == (["a-dead-worker"] if after == "DeadLetter" else [])


@pytest.mark.parametrize(("noted_by", "tries"), [("its-claim", 2), ("the-one-before", 1)])
def test_tries_that_a_killed_process_could_only_note_count(keeperless: Keeperless, noted_by: str, tries: int) -> None:
    run = keeperless.run(keeperless.deployment("ops", flow="dead-letter-review"))
    keeperless.label(run, redrive__attempt="its-claim", redrive__tries=1, redrive__retries=1)
    notes = SpentNotes.of(settings().home)
    notes.note(str(run), noted_by, {TRIES: 2, RETRIES: 2})
    keeperless.set(run, "CRASHED")
    rescuer = Rescuer(settings(), keeperless.ledger)

    wait_until(lambda: rescuer.sweep(now=time.monotonic()), 20, "the rescue")

    now = keeperless.read(run)
    assert now.state_name == "AwaitingRetry"
    assert (now.labels.tries, now.labels.retries, now.labels.crashes) == (tries, tries, 1)
    assert notes.find(str(run), noted_by) is None
