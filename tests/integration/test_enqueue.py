"""Asking for jobs: what is accepted, once, and what is refused with which words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from redrive.blocks.core.errors import ApiUnavailable, ParameterError, UnknownJob
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect import client as prefect_api
from redrive.blocks.prefect.client import prefect_settings
from redrive.blocks.prefect.requests.fast import CREATE
from redrive.deployments import acceptance as producing
from redrive.deployments.enqueue import Item, enqueue, enqueue_many, wait_for
from redrive.deployments.jobs.details import list_jobs, show_job
from redrive.deployments.register import register
from redrive.deployments.removed import mark_removed
from tests.support.counting_proxy import CountingProxy, counting
from tests.support.job_stack import JobStack, effects
from tests.support.jobs import Address, Colour
from tests.support.prefect_client import api

#: The calls that make runs: Prefect's own for one and for many, and the server's fast one.
CREATING = ("/create_flow_run", "/create_flow_run/bulk", CREATE)


@pytest.fixture(params=["1", "0"], ids=["fast", "plain"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the server's fast calls, and without."""
    monkeypatch.setenv("REDRIVE_FAST_SERVER", request.param)


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
        ("test-ok", {"folder": "x"}, {"queue": "urgent"}, ParameterError, "there are high, default, bulk, low"),
        ("test-ok", {"folder": "x"}, {"delay": -1}, ParameterError, "lies in the past"),
        ("test-ok", {"folder": "x"}, {"queue": "hihg"}, ParameterError, "did you mean 'high'?"),
        ("test-ok", {"folder": "x"}, {"at": datetime.now(UTC) - timedelta(days=1)}, ParameterError, "lies in the past"),
        ("test-ok", {"folder": "a\x00"}, {}, ParameterError, "NUL"),
        ("test-ok", {"folder": "x"}, {"key": "a\x00"}, ParameterError, "NUL"),
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


def test_dates_enums_and_models_arrive_as_what_they_were(job_stack: JobStack) -> None:
    given = {
        "folder": str(job_stack.folder("typed")),
        "address": Address(city="Paris", since=date(2020, 1, 1)),
        "colour": Colour.RED,
        "price": Decimal("1.50"),
        "path": Path("in/x.csv"),
    }

    run = wait_for(enqueue("test-typed", given).id, timeout=120)

    with prefect_settings():
        assert run.state is not None
        assert run.state.result() == "Paris red 1.50 x.csv"


@pytest.mark.usefixtures("_both_ways")
@pytest.mark.parametrize("count", [1, 3])
def test_a_lost_answer_makes_one_job_of_each(job_stack: JobStack, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    name = job_stack.folder("lost").name
    items = [{"folder": "x", "name": f"{name}-{n}"} for n in range(count)]

    with through_a_proxy(monkeypatch) as proxy:
        proxy.losing = dict.fromkeys(CREATING, 1)
        accepted = enqueue_many("test-ok", items, delay=3600)

    assert sum(proxy.losing.values()) == len(CREATING) - 1, "an answer was lost"
    assert [one.new for one in accepted] == [True] * count
    assert sorted(made(name)) == sorted(one.id for one in accepted)


@pytest.mark.usefixtures("_both_ways")
def test_a_request_that_was_never_answered_names_the_key_to_ask_again_with(
    job_stack: JobStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = job_stack.folder("never").name
    parameters = {"folder": "x", "name": name}

    with through_a_proxy(monkeypatch) as proxy:
        proxy.losing = dict.fromkeys(CREATING, 99)
        with pytest.raises(ApiUnavailable, match="ask again with the key") as caught:
            enqueue("test-ok", parameters, delay=3600)
    key = str(caught.value).partition("the key ")[2].partition(",")[0]
    again = enqueue("test-ok", parameters, delay=3600, key=key)

    assert again.new is False
    assert made(name) == [again.id]


def test_a_job_type_that_was_removed_takes_no_new_jobs_until_it_is_back(job_stack: JobStack) -> None:
    home = job_stack.folder("catalog")
    waiting = enqueue("test-typed", TYPED, delay=3600)
    mark_removed(home, ["test-typed", "test-ok"])
    assert mark_removed(home, ["test-ok"]) == ["test-typed"]
    producing._deployments.clear()

    with pytest.raises(UnknownJob, match="was removed from the catalog"):
        enqueue("test-typed", TYPED, delay=3600)

    assert show_job(waiting.id)[0].state == "Scheduled", "what was accepted stays"
    register(settings())
    assert enqueue("test-typed", TYPED, delay=3600).new


def test_a_deployment_deleted_while_it_was_remembered_is_reported_in_one_sentence(job_stack: JobStack) -> None:
    flow = api().create_flow_from_name("test-deleted")
    deployment = api().create_deployment(flow, "test-deleted", work_pool_name="jobs")
    assert enqueue("test-deleted", delay=3600).new
    api().delete_deployment(deployment)

    with pytest.raises(UnknownJob, match="no job type is named 'test-deleted'"):
        enqueue("test-deleted", delay=3600)


TYPED = {"folder": "x", "address": {"city": "x", "since": "2020-01-01"}, "colour": "red", "price": "1", "path": "x"}


@contextmanager
def through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingProxy]:
    """This process talks to Prefect through a proxy; Prefect's client itself asks once, so that what asks again is ours."""
    target = settings().api_url
    with counting(target.removesuffix("/api")) as proxy, temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        monkeypatch.setenv("PREFECT_API_URL", f"{proxy.url}/api")
        _forget()
        try:
            yield proxy
        finally:
            monkeypatch.setenv("PREFECT_API_URL", target)
            _forget()


def _forget() -> None:
    settings.cache_clear()
    prefect_api.connect_anew()


def made(name: str) -> list[UUID]:
    """The runs whose parameter `name` begins so."""
    return [one.id for one in list_jobs(job="test-ok") if str(one.parameters.get("name")).startswith(name)]
