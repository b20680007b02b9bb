"""Which rows a condition takes: it sees what people see, so that nobody guesses a secret by asking."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from redrive.blocks.prefect.run import Run
from redrive.deployments.jobs import query
from redrive.deployments.jobs.query_language import parsed

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def takes(asked: str, *, parameters: dict[str, Any] | None = None, message: str = "", error: str = "") -> bool:
    raw = {
        "id": str(uuid4()),
        "name": "brave-lion",
        "flow_id": str(uuid4()),
        "parameters": parameters or {},
        "labels": {"redrive.error": "SyncError", "redrive.error_message": error} if error else {},
        "state": {"id": str(uuid4()), "type": "FAILED", "name": "DeadLetter", "message": message},
    }
    wanted = parsed(asked, NOW, jobs=("sync",), queues=("default",))
    return query._fits(wanted, NOW)(Run.of(raw, job="sync"))


@pytest.mark.parametrize(
    "asked", ["text:NOWHERE", 'text:"rows of nowhere.csv"', "text:brave", "text:sync", "error:synce", "error:nowhere"]
)
def test_text_is_found_in_any_case_in_error_name_type_and_parameters(asked: str):
    assert takes(asked, error="no rows of Nowhere.csv", parameters={"account": 42})


def test_text_is_found_in_parameters():
    assert takes("text:grüße", parameters={"account": 42, "greeting": "Grüße"})
    assert not takes("text:43", parameters={"account": 42, "greeting": "Grüße"})


@pytest.mark.parametrize("asked", ["text:hunter2", "error:hunter2", "param.password:hunter2"])
def test_secret_is_not_found_by_whoever_guesses_it(asked: str):
    assert not takes(asked, parameters={"password": "hunter2"}, message="password='hunter2' was refused")


@pytest.mark.parametrize("asked", ["text:***", "error:***", "text:refused", "error:refused"])
def test_what_stands_in_the_place_of_a_secret_is_found_and_what_is_beside_it(asked: str):
    assert takes(asked, parameters={"password": "hunter2"}, message="password='hunter2' was refused")
