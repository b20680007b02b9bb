"""The catalog's job variables hold, except where a person changed one in Prefect."""

from __future__ import annotations

from pathlib import Path

from redrive.deployments.registered_variables import RegisteredVariables


def registered(home: Path, wanted: dict[str, object], there: dict[str, object]) -> dict[str, object]:
    variables = RegisteredVariables(home)
    found = variables.merged("sync", wanted, there)
    variables.keep()
    return found


def test_change_in_the_catalog_takes_effect(tmp_path: Path) -> None:
    registered(tmp_path, {"memory_limit": 1024}, {})

    assert registered(tmp_path, {"memory_limit": 2048}, {"memory_limit": 1024}) == {"memory_limit": 2048}


def test_change_by_a_person_stays(tmp_path: Path) -> None:
    registered(tmp_path, {"memory_limit": 1024}, {})

    assert registered(tmp_path, {"memory_limit": 2048}, {"memory_limit": 512}) == {"memory_limit": 512}


def test_limit_that_the_catalog_gave_up_goes_and_a_persons_own_variable_stays(tmp_path: Path) -> None:
    registered(tmp_path, {"memory_limit": 1024}, {})

    assert registered(tmp_path, {}, {"memory_limit": 1024, "env": {"A": "1"}}) == {"env": {"A": "1"}}


def test_variables_of_a_deployment_that_this_stack_never_registered_stay(tmp_path: Path) -> None:
    assert registered(tmp_path, {"memory_limit": 1024}, {"memory_limit": 64}) == {"memory_limit": 64}
