"""infra/compose: what can be said of it without an engine. test_compose.py in tests/e2e runs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from redrive.blocks.core.settings import Settings
from redrive.infra.docker.certificates import SERVERS
from redrive.infra.docker.roles import ROLES
from redrive.infra.docker.rotate import USERS
from redrive.infra.docker.secrets_folder import KINDS, make, password_of, write

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


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(OURS)))
def test_those_of_others_are_not_root_and_have_none_of_its_powers(name: str) -> None:
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

    assert len(published) == 4
    # Lines for the collector come from the engine on this host, and from nowhere else.
    assert [port for port in published if not port.startswith("${REDRIVE_BIND:-127.0.0.1}:")] == [
        "127.0.0.1:24224:24224"
    ]


def test_secrets_are_made_once_and_fit_each_other(tmp_path: Path) -> None:
    made = make(tmp_path / "secrets")
    again = make(tmp_path / "secrets")

    assert set(made) == {*FILE["secrets"], "redis-url-tls"}, "that one is for tls.yaml"
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


def test_secret_that_came_with_a_later_version_has_the_password_in_use(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "redis-url-tls").unlink()

    assert make(tmp_path) == ["redis-url-tls"]
    assert password_of(tmp_path, "redis") in (tmp_path / "redis-url-tls").read_text()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_new_password_goes_into_every_file_of_it_and_the_files_stay_the_same_ones(kind: str, tmp_path: Path) -> None:
    """A container has mounted the file itself: one that took its place would never be seen in there."""
    make(tmp_path)
    before = {path.name: (path.stat().st_ino, path.read_text()) for path in tmp_path.iterdir()}
    old = password_of(tmp_path, kind)

    write(tmp_path, kind, "another-one")

    after = {path.name: (path.stat().st_ino, path.read_text()) for path in tmp_path.iterdir()}
    assert {name: inode for name, (inode, _) in after.items()} == {name: inode for name, (inode, _) in before.items()}
    assert {name for name in after if after[name] != before[name]} == set(KINDS[kind])
    assert not [name for name, (_, text) in after.items() if old in text]
    assert password_of(tmp_path, kind) == "another-one"


@pytest.mark.parametrize("kind", sorted(USERS))
def test_everybody_who_has_a_secret_is_started_anew_with_another_one(kind: str) -> None:
    have = {
        name
        for name, one in SERVICES.items()
        if set(one.get("secrets", [])) & set(KINDS[kind]) and name not in {"migrate", "register", "backup", "postgres"}
    }

    assert set(USERS[kind]) == have


TLS: dict[str, Any] = yaml.safe_load((FOLDER / "tls.yaml").read_text())


def test_with_tls_every_server_has_its_certificate_and_every_client_checks_it() -> None:
    mounted = {name: one.get("volumes", []) for name, one in TLS["services"].items()}
    own = {
        volume.split("/")[2].partition(":")[0]
        for volumes in mounted.values()
        for volume in volumes
        if "./tls/" in volume
    }

    assert own == {*SERVERS, "trusted"}
    assert set(TLS["services"]) == set(SERVICES) - {"alertmanager", "collector"}, "who speaks to nobody by TLS"
    for name in OURS:
        env = TLS["services"][name]["environment"]
        assert "./tls/trusted:/run/trusted:ro" in mounted[name]
        assert (env["PGSSLMODE"], env["PGSSLROOTCERT"]) == ("verify-full", "/run/trusted/ca.crt")
        assert env["REDRIVE_CA"] == "/run/trusted/ca.crt"
        api = {**SERVICES[name]["environment"], **env}.get("PREFECT_API_URL", "https://")
        assert api.startswith("https://"), name
    assert TLS["secrets"]["redis-url"]["file"].endswith("redis-url-tls")


def test_with_tls_prometheus_scrapes_the_same_by_https() -> None:
    plain, tls = (yaml.safe_load((FOLDER / f"prometheus{kind}.yml").read_text()) for kind in ("", "-tls"))
    added = {one["job_name"]: (one.pop("scheme", None), one.pop("tls_config", None)) for one in tls["scrape_configs"]}

    assert tls == plain
    assert added == {
        "redrive": ("https", {"ca_file": "/run/trusted/ca.crt"}),
        "prefect": ("https", {"ca_file": "/run/trusted/ca.crt", "server_name": "prefect"}),
        "prometheus": (None, None),
    }


def test_shipped_are_the_lines_of_everybody_but_the_collector_and_nobody_waits_for_it() -> None:
    logs = yaml.safe_load((FOLDER / "logs.yaml").read_text())

    assert set(logs["services"]) == set(SERVICES) - {"collector"}
    for one in logs["services"].values():
        assert one["logging"]["options"]["fluentd-async"] == "true"
        assert f"127.0.0.1:{one['logging']['options']['fluentd-address'].rpartition(':')[2]}:24224" in str(
            SERVICES["collector"]["ports"]
        )
