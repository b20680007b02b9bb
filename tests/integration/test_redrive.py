"""Redriving and discarding on a real server: alone, by cause, with edited parameters, by two people at once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from uuid import UUID

import pytest

from redrive.blocks.core.errors import Conflict, NotFound, ParameterError
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.run_labels import KEY, REPLACED_BY, REPLACES
from redrive.blocks.prefect.runs import by_id
from redrive.deployments import acceptance as producing
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter
from redrive.deployments.dead_letters.redrive import redrive
from redrive.deployments.dead_letters.redrive_many import AT_ONCE, redrive_all
from redrive.deployments.enqueue import enqueue, wait_for
from redrive.deployments.jobs.details import show_job
from redrive.deployments.register import register
from tests.support.job_stack import JobStack, effects
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

PATIENCE = 120


def dead(stack: JobStack, folder: str, message: str = "broken") -> DeadLetter:
    job = enqueue("test-fail-once", {"folder": folder, "message": message, "password": "hunter2"})
    wait_for(job.id, timeout=PATIENCE)
    return stack.dead_letter(job.id)


def test_completed_steps_are_not_repeated(job_stack: JobStack) -> None:
    folder = job_stack.folder("three")
    job = enqueue("test-three", {"folder": str(folder)})
    wait_for(job.id, timeout=PATIENCE)
    row = job_stack.dead_letter(job.id)
    (folder / "mended").touch()

    with job_stack.ledger() as ledger:
        redrive(ledger, row.id, who="ada", why="mended the third step")

    resolved = job_stack.dead_letter(job.id, status="resolved", timeout=PATIENCE)
    assert [len(effects(folder, f"step-{n}")) for n in (1, 2, 3)] == [1, 1, 2]
    assert (resolved.redriven_by, resolved.redriven_why) == ("ada", "mended the third step")
    with job_stack.ledger() as ledger:
        assert [act.what for act in ledger.history(row.id)] == ["dead-lettered", "redriven", "resolved"]


def test_job_that_dies_again_reopens_its_row(job_stack: JobStack) -> None:
    row = dead(job_stack, str(job_stack.folder("again")))

    with job_stack.ledger() as ledger:
        redrive(ledger, row.id, who="ada")

        def reopened() -> bool:
            now = ledger.get(row.id)
            return now.status == "open" and now.deaths == 2

        wait_until(reopened, PATIENCE, "the row to reopen")
        assert [act.what for act in ledger.history(row.id)] == ["dead-lettered", "redriven", "reopened"]


def test_edited_parameters_make_a_new_run_linked_both_ways(job_stack: JobStack) -> None:
    good = job_stack.folder("good")
    (good / "mended").touch()
    row = dead(job_stack, str(job_stack.folder("bad")))
    key = api().read_flow_run(row.run_id).labels[KEY]

    with job_stack.ledger() as ledger:
        new = redrive(ledger, row.id, who="ada", parameters={**row.parameters, "folder": str(good)})

    resolved = job_stack.dead_letter(row.run_id, status="resolved", timeout=PATIENCE)
    assert resolved.replaced_by_run_id == new.run_id
    assert api().read_flow_run(new.run_id).labels[REPLACES] == str(row.run_id)
    (effect,) = effects(good, "mended-runs")
    assert effect.split()[2] == key, "effects of the new run carry the key of the job it goes on with"


def test_lists_of_jobs_say_what_replaced_a_dead_one(job_stack: JobStack) -> None:
    good = job_stack.folder("good")
    (good / "mended").touch()
    row = dead(job_stack, str(job_stack.folder("bad")))
    with job_stack.ledger() as ledger:
        new = redrive(ledger, row.id, who="ada", parameters={**row.parameters, "folder": str(good)})

    listed = job_stack.command("jobs", "list", "--job", "test-fail-once", "--limit", "2").stdout
    old = job_stack.command("jobs", "show", str(row.run_id)).stdout

    # It was held back for a moment, and is not expected for as long.
    expected = by_id([new.run_id])[new.run_id].expected_start
    assert expected is not None
    assert expected <= datetime.now(UTC)
    assert f"replaced by {str(new.run_id)[:8]}" in listed
    assert f"redrive jobs show {str(new.run_id)[:8]}" in old
    assert "redrive dead redrive" not in old
    assert str(row.run_id) in job_stack.command("jobs", "show", str(new.run_id)).stdout


def test_dead_job_whose_replacement_was_deleted_is_dead_again(job_stack: JobStack) -> None:
    row = dead(job_stack, str(job_stack.folder("bad")))
    with job_stack.ledger() as ledger:
        # Due tomorrow, so that it is still there to be deleted.
        new = enqueue("test-ok", {"folder": str(job_stack.folder("late"))}, delay=86_400)
        ledger.claim_for_redrive(row.id, who="ada")
        api().update_flow_run_labels(row.run_id, {REPLACED_BY: str(new.id)})
        ledger.link_replacement(row.run_id, new.id)
    assert show_job(row.run_id)[0].replaced_by == new.id

    api().delete_flow_run(new.id)

    job_stack.dead_letter(row.run_id, timeout=PATIENCE)
    wait_until(lambda: show_job(row.run_id)[0].replaced_by is None, PATIENCE, "the old run to forget the new one")


def test_edited_parameters_are_checked_before_anything_happens(job_stack: JobStack) -> None:
    row = dead(job_stack, str(job_stack.folder("checked")))

    with job_stack.ledger() as ledger:
        with pytest.raises(ParameterError, match="did you mean 'folder'"):
            redrive(ledger, row.id, who="ada", parameters={"foldr": "x", "message": "y"})

        assert ledger.get(row.id).status == "open"


def test_of_two_operators_one_redrives_and_one_learns_it(job_stack: JobStack) -> None:
    row = dead(job_stack, str(job_stack.folder("two")))
    outcomes: list[str] = []

    def act(who: str) -> None:
        with job_stack.ledger() as ledger:
            try:
                redrive(ledger, row.id, who=who)
                outcomes.append("redriven")
            except Conflict as error:
                outcomes.append(str(error))

    people = [threading.Thread(target=act, args=(who,)) for who in ("ada", "bob")]
    for one in people:
        one.start()
    for one in people:
        one.join()

    assert sorted(outcome == "redriven" for outcome in outcomes) == [False, True]
    (told,) = (outcome for outcome in outcomes if outcome != "redriven")
    assert "is redriven by" in told
    states = [state.name for state in show_job(row.run_id)[1]]
    assert states.count("Scheduled") == 2, "accepted once, redriven once"


def test_bulk_stops_where_it_is_told_to(job_stack: JobStack) -> None:
    folder = str(job_stack.folder("stop"))
    message = f"stop {'-'.join('abcdefgh')} here"
    rows = [dead(job_stack, folder, message) for _ in range(AT_ONCE + 2)]

    with job_stack.ledger() as ledger:
        batch = redrive_all(
            ledger, Filter(status="open", text=message), who="ada", rate=50, progress=lambda done, _of: done < 1
        )

        # What was begun is brought to its end, and nothing else is begun.
        assert batch.stopped
        assert 1 <= batch.redriven <= AT_ONCE
        assert sum(ledger.get(row.id).redrives for row in rows) == batch.redriven


def test_what_cannot_be_redriven_says_so(job_stack: JobStack) -> None:
    row = dead(job_stack, str(job_stack.folder("cannot")))

    with job_stack.ledger() as ledger:
        with pytest.raises(NotFound):
            redrive(ledger, UUID(int=7), who="ada")
        with pytest.raises(NotFound, match="no open dead letter fits"):
            redrive_all(ledger, Filter(status="open", fingerprint="000000000000"), who="ada")
        ledger.discard(row.id, who="bob", why="a test")
        with pytest.raises(Conflict, match="discarded by bob"):
            redrive(ledger, row.id, who="ada")


def test_job_type_that_is_gone_is_a_clear_refusal_and_the_row_stays_open(job_stack: JobStack) -> None:
    job = enqueue("test-permanent", {"folder": str(job_stack.folder("gone"))})
    wait_for(job.id, timeout=PATIENCE)
    row = job_stack.dead_letter(job.id)
    deployment = api().read_deployment_by_name("test-permanent/test-permanent")
    api().delete_deployment(deployment.id)

    try:
        with job_stack.ledger() as ledger:
            with pytest.raises(Conflict, match="its deployment of 'test-permanent' is gone"):
                redrive(ledger, row.id, who="ada")

            assert ledger.get(row.id).status == "open"
    finally:
        # Other tests of this session need the job type.
        register(settings())
        producing._deployments.clear()


def test_secrets_are_masked_where_people_read(job_stack: JobStack) -> None:
    row = dead(job_stack, str(job_stack.folder("secret")), "login failed for https://bob:s3cret@bank.example/x")

    shown = job_stack.command("dead", "show", str(row.id)).stdout
    listed = job_stack.command("dead", "list", "--json").stdout

    for text in (shown, listed):
        assert "hunter2" not in text
        assert "s3cret" not in text
