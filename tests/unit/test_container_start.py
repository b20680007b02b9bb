"""What containers of ours start with: secrets from files, the program of a role, its health."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prefect.settings import Settings as PrefectSettings

from redrive.infra.docker.dependencies import requirements
from redrive.infra.docker.healthy import complaint
from redrive.infra.docker.roles import ROLES, SCALED
from redrive.infra.docker.start import CannotStart, with_authority, with_secrets


def test_content_of_a_file_takes_the_place_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "auth").write_text("redrive:hush\n")

    found = with_secrets({"PREFECT_API_AUTH_STRING_FILE": str(tmp_path / "auth"), "SSL_CERT_FILE": "/etc/ca.pem"})

    assert found == {"PREFECT_API_AUTH_STRING": "redrive:hush", "SSL_CERT_FILE": "/etc/ca.pem"}


def test_password_of_the_database_may_be_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/word")

    found = with_secrets(
        {
            "REDRIVE_DATABASE_URL": "postgresql://redrive:{password}@db/redrive",
            "REDRIVE_DATABASE_PASSWORD_FILE": str(tmp_path / "password"),
        }
    )

    assert found == {"REDRIVE_DATABASE_URL": "postgresql://redrive:p%40ss%2Fword@db/redrive"}


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"REDRIVE_REDIS_URL_FILE": "/not/there"}, "REDRIVE_REDIS_URL_FILE=/not/there cannot be read"),
        ({"REDRIVE_REDIS_URL_FILE": "/dev/null"}, "is empty"),
        ({"REDRIVE_REDIS_URL_FILE": "/x", "REDRIVE_REDIS_URL": "redis://"}, "are both given"),
    ],
)
def test_secret_that_cannot_be_had_is_one_sentence(environ: dict[str, str], said: str) -> None:
    with pytest.raises(CannotStart, match=said):
        with_secrets(environ)


def test_authority_of_ours_is_believed_beside_the_public_ones(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("ours\n")
    (tmp_path / "public.crt").write_text("theirs\n")

    found = with_authority({"REDRIVE_CA": str(tmp_path / "ca.crt"), "TMPDIR": str(tmp_path)}, tmp_path / "public.crt")

    assert set(found) == {"TMPDIR", "SSL_CERT_FILE"}, "an unknown name would be refused by the program"
    assert Path(found["SSL_CERT_FILE"]).read_text() == "ours\ntheirs\n"
    given = {"REDRIVE_CA": "/not/there", "SSL_CERT_FILE": "/mine"}
    assert with_authority(given) == {"SSL_CERT_FILE": "/mine"}
    with pytest.raises(CannotStart, match="REDRIVE_CA=/not/there cannot be read"):
        with_authority({"REDRIVE_CA": "/not/there"})


@pytest.mark.parametrize("arguments", [[], ["no-such-role"]])
def test_unknown_role_names_those_there_are(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "redrive.infra.docker.start", *arguments], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "keeper" in done.stderr
    assert "Traceback" not in done.stderr


def test_command_in_a_container_has_the_settings_of_its_role(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    asked = [sys.executable, "-m", "redrive.infra.docker.start", "printenv", "REDRIVE_RESULTS_SHARED"]
    assert subprocess.run(asked, env=environ, capture_output=True, text=True, check=False).stdout == ""

    (tmp_path / "redrive-role").write_text("worker")

    assert subprocess.run(asked, env=environ, capture_output=True, text=True, check=False).stdout == "1\n"


def test_several_servers_share_what_prefect_knows_by_these_names(monkeypatch: pytest.MonkeyPatch) -> None:
    argv, own = ROLES["server"].program(
        {"REDRIVE_DATABASE_URL": "postgresql://u:p@db/redrive", "REDRIVE_REDIS_URL": "redis://r:6379/0"}
    )
    for name, value in (ROLES["server"].defaults | own).items():
        monkeypatch.setenv(name, value)

    server = PrefectSettings().server

    assert argv[-1] == "--no-services"
    assert server.events.messaging_broker == server.events.messaging_cache == SCALED["PREFECT_MESSAGING_BROKER"]
    assert server.events.causal_ordering == "prefect_redis.ordering"
    assert server.concurrency.lease_storage == "prefect_redis.lease_storage"
    assert server.docket.url == "redis://r:6379/0"
    assert server.database.migrate_on_start is False
    assert server.services.db_vacuum.enabled == {"events", "flow_runs"}
    assert server.services.late_runs.enabled is False
    assert server.services.task_run_recorder.batch_size == 50
    assert str(server.database.connection_url.get_secret_value()).endswith("/redrive_prefect")


def test_each_start_of_a_worker_has_a_name_of_its_own() -> None:
    first, _ = ROLES["worker"].program({})
    second, _ = ROLES["worker"].program({})

    assert first[first.index("--name") + 1] != second[second.index("--name") + 1]


def test_keeper_is_judged_by_its_last_round(tmp_path: Path) -> None:
    environ = {"REDRIVE_HOME": str(tmp_path)}
    assert complaint("keeper", environ) == "the keeper has done no round yet"

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "keeper.alive").touch()
    assert complaint("keeper", environ) is None

    os.utime(tmp_path / "run" / "keeper.alive", (0, time.time() - 600))
    assert "last round was 600 s ago" in str(complaint("keeper", environ))


def test_server_that_does_not_answer_is_unhealthy() -> None:
    assert "does not answer" in str(complaint("console", {"REDRIVE_CONSOLE_PORT": "1"}))


def test_requirements_of_extras_include_those_they_name() -> None:
    project = {"dependencies": ["a"], "optional-dependencies": {"x": ["redrive[y]", "b"], "y": ["c>=1"], "z": ["d"]}}

    assert requirements(project, ["x"]) == ["a", "b", "c>=1"]
