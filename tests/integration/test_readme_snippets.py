"""The Python of the folders' READMEs, run as it stands on a stack; ids and a job type in the text stand for those made here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

import redrive
from redrive.blocks.core.errors import PermanentError, Snooze
from redrive.blocks.core.retry import RetryPolicy, exponential
from redrive.blocks.prefect.client import prefect_settings
from redrive.deployments.dead_letters.ledger import DeadLetter
from redrive.deployments.enqueue import enqueue, wait_for
from redrive.deployments.jobs.details import show_job
from tests.support import job_stack as of_job_stack
from tests.support.job_stack import JobStack
from tests.support.readme import ROOT, blocks, section

PATIENCE = 120


def snippet(readme: str, title: str, number: int = 0) -> str:
    return blocks(section(title, ROOT / readme / "README.md"), "python")[number]


def run(text: str, **known: Any) -> dict[str, Any]:
    """What its names are afterwards."""
    exec(text, known)  # noqa: S102  (what a reader would type)
    return known


def state_of(job_id: UUID) -> str:
    return str(show_job(job_id)[0].state)


def dead(stack: JobStack, message: str) -> DeadLetter:
    job = enqueue("test-fail-once", {"folder": str(stack.folder("snippet")), "message": message, "password": "hunter2"})
    wait_for(job.id, timeout=PATIENCE)
    return stack.dead_letter(job.id)


def test_a_policy_is_written_as_the_text_says() -> None:
    text = snippet("blocks", "The retry policy")
    known = run(f"policy = {text}", RetryPolicy=RetryPolicy, exponential=exponential)

    assert known["policy"].max_tries == 6
    assert known["policy"].never_on == ("ValueError",)


@pytest.mark.parametrize(("line", "error"), [(0, PermanentError), (1, Snooze)])
def test_errors_that_decide_are_raised_as_the_text_says(line: int, error: type[BaseException]) -> None:
    text = snippet("blocks", "Errors that decide").splitlines()[line]

    with pytest.raises(error):
        run(text, PermanentError=PermanentError, Snooze=Snooze)


def test_a_job_type_is_declared_as_the_text_says() -> None:
    text = snippet("deployments", "Job types")
    known = run(f"made = {text}", JobType=redrive.JobType, RetryPolicy=RetryPolicy, schedule=redrive.schedule)

    assert (known["made"].name, known["made"].policy.max_tries) == ("invoice", 5)


def test_a_block_is_checked_as_the_text_says(job_stack: JobStack, capsys: pytest.CaptureFixture[str]) -> None:
    # Of a reader, Prefect's settings are those of the environment; here they were read before.
    with prefect_settings():
        run(snippet("blocks", "Blocks in the Prefect UI"))

    assert str(job_stack.settings.smtp_port) in capsys.readouterr().out


def test_jobs_are_asked_for_as_the_text_says(job_stack: JobStack) -> None:
    text = snippet("deployments", "Enqueue")
    known = run(text.replace('"greet"', '"greeting"'), names=["Grace", "Edsger"])

    assert known["run"].state.is_completed(), known["run"].state
    assert [wait_for(job.id, timeout=PATIENCE).state_name for job in known["jobs"]] == ["Completed"] * 2


def test_jobs_are_cancelled_and_run_again_as_the_text_says(job_stack: JobStack) -> None:
    given = {"folder": str(job_stack.folder("acts"))}
    cancelled, retried = (enqueue("test-ok", given, delay="1h") for _ in range(2))
    done = enqueue("test-ok", given)
    wait_for(done.id, timeout=PATIENCE)
    text = snippet("deployments", "Cancel, retry, run again")
    ids = iter([cancelled.id, retried.id, done.id])

    run(re.sub(r"24ae6f03", lambda _: str(next(ids)), text))

    assert state_of(cancelled.id) == "Cancelled"
    assert wait_for(retried.id, timeout=PATIENCE).state_name == "Completed"


def test_dead_letters_are_redriven_as_the_text_says(job_stack: JobStack) -> None:
    one, other = dead(job_stack, "alpha is written in a README"), dead(job_stack, "omega stands there too")
    text = snippet("deployments", "Redrive and discard")

    run(text.replace("c405e581", str(one.id)).replace("1f9449e13a03", other.fingerprint))

    with job_stack.ledger() as ledger:
        acts = {row.id: [act.what for act in ledger.history(row.id)] for row in (one, other)}
    assert all("redriven" in done for done in acts.values())


def test_a_test_is_written_as_the_text_says(job_stack: JobStack) -> None:
    known = run(
        "from __future__ import annotations\n" + snippet("tests", "Writing one"),
        enqueue=enqueue,
        wait_for=wait_for,
        effects=of_job_stack.effects,
        PATIENCE=PATIENCE,
    )
    written: Callable[[JobStack], None] = known["test_permanent_error_is_tried_once"]

    written(job_stack)


def test_every_snippet_of_python_is_run_by_a_test() -> None:
    where = {
        readme: text.count("```python\n")
        for readme in ROOT.rglob("README.md")
        if not {".venv", "build", "node_modules"} & set(readme.relative_to(ROOT).parts)
        and (text := readme.read_text()).count("```python\n")
    }

    # The root's: e2e/test_readme_walks.py; of flows/: unit/test_readmes.py; of tests/, the second: test_warm_snippet.py.
    assert {str(readme.parent.relative_to(ROOT)): number for readme, number in where.items()} == {
        ".": 2,
        "blocks": 3,
        "deployments": 4,
        "flows": 2,
        "tests": 2,
    }
