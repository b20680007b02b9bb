"""infra/compose: what can be said of it without an engine. test_compose.py in tests/e2e runs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from redrive.blocks.core.settings import Settings
from redrive.infra.docker.roles import ROLES
from redrive.infra.docker.secrets_folder import make

FOLDER = Path(__file__).resolve().parents[2] / "infra" / "compose"
FILE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = {name: one for name, one in SERVICES.items() if "REDRIVE_REGISTRY" in one["image"]}


def test_every_role_runs_and_two_of_what_must_not_be_missing() -> None:
    image = re.compile(r"/(\w+):")
    roles = [
        (one.get("command") or [found[1] if (found := image.search(one["image"])) else ""])[0] for one in OURS.values()
    ]

    # The backup is a command, not a role.
    assert set(roles) == set(ROLES) - {"server-alone", "kubernetes-worker"} | {"redrive"}
    assert {role for role in roles if roles.count(role) == 2} == {"server", "worker", "keeper"}


@pytest.mark.parametrize("name", sorted(OURS))
def test_ours_may_no_more_than_they_need(name: str) -> None:
    one = OURS[name]

    assert one["read_only"] is True
    assert one["user"] == "10001:10001"
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert {"memory", "cpus"} <= set(one["deploy"]["resources"]["limits"])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_secrets_are_files_and_all_are_declared(name: str) -> None:
    one = SERVICES[name]
    files = {
        value.removeprefix("/run/secrets/")
        for value in one.get("environment", {}).values()
        if "/run/secrets/" in str(value)
    }

    assert files <= set(one.get("secrets", []))
    assert set(one.get("secrets", [])) <= set(FILE["secrets"])
    assert not {"REDRIVE_DATABASE_URL", "PREFECT_API_AUTH_STRING", "POSTGRES_PASSWORD"} & set(
        one.get("environment", {})
    )
    assert set(one["networks"]) <= set(FILE["networks"])


def test_no_secret_goes_into_the_build() -> None:
    lines = (FOLDER.parent / "docker" / "Dockerfile.dockerignore").read_text().splitlines()

    for folder in ("infra/compose/secrets", "infra/compose/tls"):
        assert lines.index(folder) > lines.index("!infra"), "a later line counts"


@pytest.mark.parametrize("name", ["postgres", "redis", "proxy"])
def test_databases_and_proxy_are_not_root_and_have_none_of_its_powers(name: str) -> None:
    one = SERVICES[name]

    assert one["user"].partition(":")[0] not in {"0", "root"}
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert "cap_add" not in one


def test_jobs_cannot_reach_the_databases() -> None:
    for name in ("worker-1", "worker-2"):
        assert "data" not in SERVICES[name]["networks"]
        assert "database-url" not in SERVICES[name]["secrets"]
    assert [name for name, one in FILE["networks"].items() if not one.get("internal")] == ["outside"]


def test_what_is_published_is_on_loopback_unless_somebody_says_otherwise() -> None:
    published = [port for one in SERVICES.values() for port in one.get("ports", [])]

    assert len(published) == 3
    assert all(port.startswith("${REDRIVE_BIND:-127.0.0.1}:") for port in published)


def test_secrets_are_made_once_and_fit_each_other(tmp_path: Path) -> None:
    made = make(tmp_path / "secrets")
    again = make(tmp_path / "secrets")

    assert set(made) == set(FILE["secrets"])
    assert again == []
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    read = {name: (tmp_path / "secrets" / name).read_text() for name in made}
    assert read["database-password"] in read["database-url"]
    assert f"requirepass {read['redis-url'].split('@')[0].split(':')[2]}\n" in read["redis-conf"]
    assert "maxmemory-policy noeviction" in read["redis-conf"]
    assert read["prefect-auth"] == f"redrive:{read['prefect-password']}"
    here = Settings.load({"REDRIVE_DATABASE_URL": read["database-url"], "REDRIVE_HOME": str(tmp_path)})
    assert here.prefect_database_url().endswith("@postgres:5432/redrive_prefect")


def test_blocks_name_the_folder_that_workers_have() -> None:
    for name in ("register", "worker-1", "worker-2", "ops-worker"):
        assert SERVICES[name]["volumes"] == ["results:/var/lib/redrive"], name
        assert "REDRIVE_HOME" not in SERVICES[name]["environment"]
