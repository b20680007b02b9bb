"""Asking for jobs: what is accepted, once, and what is refused with which words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from redrive.blocks.errors import ParameterError, UnknownJob
from redrive.deployments.enqueue import Item, enqueue, enqueue_many, wait_for
from redrive.deployments.jobs import list_jobs
from tests.support.job_stack import JobStack, effects


def test_one_key_makes_one_job(job_stack: JobStack) -> None:
    folder = job_stack.folder("key")

    first = enqueue("test-ok", {"folder": str(folder)}, key=f"key-{folder.name}")
    second = enqueue("test-ok", {"folder": str(folder)}, key=f"key-{folder.name}")
    wait_for(first.id, timeout=120)

    assert second.id == first.id
    assert (first.new, second.new) == (True, False)
    (effect,) = effects(folder, "ok")
    assert effect.split()[2] == f"key-{folder.name}", "the job's effects carry its key"


def test_many_with_keys_are_accepted_once(job_stack: JobStack) -> None:
    folder = job_stack.folder("many")
    items = [Item(parameters={"folder": str(folder)}, key=f"{folder.name}-{n}") for n in range(3)]

    first = enqueue_many("test-ok", items, delay=3600)
    again = enqueue_many(
        "test-ok", [*items, Item(parameters={"folder": str(folder)}, key=f"{folder.name}-3")], delay=3600
    )

    assert [one.new for one in first] == [True, True, True]
    assert [one.new for one in again] == [False, False, False, True]
    assert [one.id for one in again[:3]] == [one.id for one in first]


def test_delay_and_time_say_when_it_is_due(job_stack: JobStack) -> None:
    folder = str(job_stack.folder("due"))
    at = datetime.now(UTC) + timedelta(hours=2)

    assert enqueue("test-ok", {"folder": folder}, at=at).due == at
    due = enqueue("test-ok", {"folder": folder}, delay=timedelta(hours=1)).due
    assert due is not None
    assert due - datetime.now(UTC) > timedelta(minutes=59)


def test_queue_of_a_job_can_be_chosen(job_stack: JobStack) -> None:
    job = enqueue("test-ok", {"folder": str(job_stack.folder("queue"))}, queue="low", delay=3600)

    assert [one.queue for one in list_jobs(job="test-ok", queue="low") if one.id == job.id] == ["low"]


@pytest.mark.parametrize(
    ("job", "parameters", "options", "error", "says"),
    [
        ("test-okk", {}, {}, UnknownJob, "did you mean 'test-ok'?"),
        ("test-ok", {"foldr": "x"}, {}, ParameterError, "did you mean 'folder'?"),
        ("test-ok", {}, {}, ParameterError, "needs the parameter 'folder'"),
        ("test-ok", {"folder": "x", "seconds": "soon"}, {}, ParameterError, "parameter 'seconds' does not fit: 'soon'"),
        ("test-ok", {"folder": "x"}, {"queue": "urgent"}, ParameterError, "the queues are high, default, low"),
        ("test-ok", {"folder": "x"}, {"delay": -1}, ParameterError, "lies in the past"),
        ("test-ok", {"folder": "x"}, {"delay": 1, "at": datetime.now(UTC)}, ParameterError, "not both"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    job_stack: JobStack, job: str, parameters: dict[str, object], options: dict[str, object], error: type, says: str
) -> None:
    with pytest.raises(error) as caught:
        enqueue(job, parameters, **options)  # type: ignore[arg-type]

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_of_a_batch_is_accepted_if_one_does_not_fit(job_stack: JobStack) -> None:
    folder = job_stack.folder("batch")

    with pytest.raises(ParameterError):
        enqueue_many("test-ok", [{"folder": str(folder), "name": folder.name}, {"foldr": "x"}])

    assert [one for one in list_jobs(job="test-ok") if one.parameters.get("name") == folder.name] == []
