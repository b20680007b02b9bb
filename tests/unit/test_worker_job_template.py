"""The form of a warm pool, and what becomes of what people enter there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.server.schemas.core import WorkPool
from prefect.utilities.schema_tools import validate
from pydantic import ValidationError

from redrive.infra.worker.job_template import PoolSettings, WarmConfiguration, base_job_template
from redrive.infra.worker.warm_worker import WarmWorker


def _configured(**values: Any) -> WarmConfiguration:
    made = WarmConfiguration.from_template_and_values(base_job_template(), values, client=_NoClient())  # type: ignore[arg-type]  # nothing is looked up
    configuration: WarmConfiguration = asyncio.run(made)
    return configuration


class _NoClient:
    """No value names a block or a variable."""


def test_prefect_accepts_the_template() -> None:
    template = base_job_template()

    WorkPoolCreate(name="jobs", type="warm", base_job_template=template)
    WorkPool(
        name="jobs", type="warm", base_job_template=template, default_queue_id="00000000-0000-4000-8000-000000000000"
    )
    assert WarmWorker.get_default_base_job_template() == template


def test_every_value_of_a_job_is_in_the_form_and_has_words_for_people() -> None:
    template = base_job_template()
    form = template["variables"]["properties"]

    assert set(template["job_configuration"]) <= set(form)
    for name, field in form.items():
        assert field["title"], name
        assert field["description"], name


def test_defaults_are_valid_by_the_form_itself() -> None:
    schema = base_job_template()["variables"]

    assert not validate({}, schema)


@pytest.mark.parametrize(
    "wrong", [{"isolation": "none"}, {"timeout": 0}, {"memory_limit": 1}, {"slots": 0}, {"preload": "a"}]
)
def test_impossible_value_is_refused_by_the_form(wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=next(iter(wrong))):
        validate(wrong, base_job_template()["variables"], raise_on_error=True)


def test_job_without_values_gets_the_defaults() -> None:
    configuration = _configured()

    assert (configuration.isolation, configuration.timeout, configuration.memory_limit) == ("reuse", None, None)
    assert configuration.env == {}


def test_values_of_a_deployment_reach_the_job() -> None:
    configuration = _configured(isolation="run", timeout=2.5, memory_limit=64, env={"A": "1"}, working_dir="/srv/work")

    assert (configuration.isolation, configuration.timeout, configuration.memory_limit) == ("run", 2.5, 64)
    assert configuration.env == {"A": "1"}
    assert configuration.working_dir == "/srv/work"


def test_impossible_value_of_a_run_is_refused() -> None:
    with pytest.raises((ValidationError, ValueError)):
        _configured(isolation="none")


def test_pool_is_set_by_its_defaults_as_somebody_changed_them() -> None:
    template = base_job_template()
    template["variables"]["properties"]["slots"]["default"] = 7
    template["variables"]["properties"]["preload"]["default"] = ["one.module"]

    settings = PoolSettings.of(template)

    assert (settings.slots, settings.preload, settings.drain_timeout) == (7, ["one.module"], 60)


def test_modules_may_be_entered_as_one_line() -> None:
    template = base_job_template()
    template["variables"]["properties"]["preload"]["default"] = "one, two ,"

    assert PoolSettings.of(template).preload == ["one", "two"]


def test_template_of_another_kind_gives_the_defaults() -> None:
    assert PoolSettings.of({}) == PoolSettings()
