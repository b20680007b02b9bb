"""Registering the catalog again and again: what a person changed in Prefect stays."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.filesystems import LocalFileSystem

from redrive.blocks.core.settings import settings
from redrive.deployments.register import register
from tests.support.job_stack import JobStack
from tests.support.prefect_client import api


def schedules(job: str) -> list[Any]:
    return list(api().read_deployment_by_name(f"{job}/{job}").schedules)


def test_schedules_survive_and_a_pause_stays(job_stack: JobStack) -> None:
    (before,) = schedules("reports")
    deployment = api().read_deployment_by_name("reports/reports")
    api().update_deployment_schedule(deployment.id, before.id, active=False)

    register(settings())
    register(settings())

    (after,) = schedules("reports")
    assert (after.id, after.active) == (before.id, False)
    assert (after.schedule.cron, after.schedule.timezone) == ("0 7 * * *", "Europe/London")
    assert len(schedules("sync")) == 1
    # Other tests share this stack.
    api().update_deployment_schedule(deployment.id, after.id, active=True)


def test_schedule_of_a_persons_own_stays(job_stack: JobStack) -> None:
    deployment = api().read_deployment_by_name("mail/mail")
    own = {"schedule": {"cron": "0 8 * * 1", "timezone": "UTC"}, "active": True}
    api().request("POST", "/deployments/{id}/schedules", path_params={"id": deployment.id}, json=[own])

    register(settings())

    assert [one.schedule.cron for one in schedules("mail")] == ["0 8 * * 1"]


def test_memory_limit_of_a_job_type_is_its_deployments_unless_a_person_changed_it(job_stack: JobStack) -> None:
    deployment = api().read_deployment_by_name("sync/sync")
    assert deployment.job_variables["memory_limit"] == 1024
    change = {"job_variables": {"memory_limit": 4096}}
    api().request("PATCH", "/deployments/{id}", path_params={"id": deployment.id}, json=change)
    try:
        register(settings())
        assert api().read_deployment_by_name("sync/sync").job_variables == {"memory_limit": 4096}
    finally:
        back = {"job_variables": {"memory_limit": 1024}}
        api().request("PATCH", "/deployments/{id}", path_params={"id": deployment.id}, json=back)


def test_block_that_a_person_edited_stays(job_stack: JobStack) -> None:
    block = api().read_block_document_by_name("documents", "local-file-system")
    elsewhere = str(job_stack.folder("elsewhere"))
    api().request(
        "PATCH", "/block_documents/{id}", path_params={"id": block.id}, json={"data": {"basepath": elsewhere}}
    )

    register(settings())

    assert api().read_block_document_by_name("documents", "local-file-system").data["basepath"] == elsewhere


@pytest.mark.parametrize(("before", "after"), [("", "The company's background work."), ("Ours.", "Ours.")])
def test_work_pool_is_described_unless_a_person_did(job_stack: JobStack, before: str, after: str) -> None:
    path = {"work_pool_name": "jobs"}
    api().request("PATCH", "/work_pools/{work_pool_name}", path_params=path, json={"description": before})

    register(settings())

    assert api().read_work_pool("jobs").description == after


def test_block_types_have_what_prefects_ui_shows(job_stack: JobStack) -> None:
    for slug in ("warehouse", "mail-server", "retry-policy"):
        kind = api().read_block_type_by_slug(slug)
        assert kind.description, slug
        assert kind.logo_url, slug
    assert LocalFileSystem.get_block_type_slug() == "local-file-system"
