"""infra/compose with a real engine: it comes healthy, and under load an API server, a worker, Redis and PostgreSQL are killed.

Where no engine can be started, or compose is missing, this is skipped with the reason. Images are built from the checkout, on a base that
debootstrap makes: minutes, so all of it is soak.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import TestEngine
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3000)]

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "support" / "compose"
IMAGES = ("server", "worker", "keeper", "exporter", "console")
JOBS = 150
#: An engine that has the images already, for trying by hand.
GIVEN = "TEST_ENGINE_WITH_IMAGES"


def _run(*command: str, timeout: float = 900, **env: str) -> str:
    done = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=timeout
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def engine_url() -> Iterator[str]:
    if given := os.environ.get(GIVEN):
        yield given
        return
    if not shutil.which("debootstrap"):
        pytest.skip("no base image here: debootstrap is missing (on Debian: apt-get install debootstrap)")
    with TestEngine(networks=True) as engine:
        _base(engine)
        _build(engine.url, engine.home)
        yield engine.url


def _base(engine: TestEngine) -> None:
    folder = engine.home / "base"
    _run("debootstrap", "--variant=minbase", "bookworm", str(folder))
    tar = engine.home / "base.tar"
    _run("tar", "-C", str(folder), "-cf", str(tar), ".")
    engine.api.import_image_from_file(str(tar), repository="debian", tag="bookworm-slim")


def _build(url: str, folder: Path) -> None:
    pip = folder / "pip.conf"
    pip.write_text("[global]\ncert = /run/ca.pem\ntimeout = 180\n")
    secrets = ["--secret", f"id=pip,src={pip}", "--secret", "id=ca,src=/etc/ssl/certs/ca-certificates.crt"]
    client = "/usr/bin/docker"
    _run(client, "build", "-q", "-t", "redrive-test/services", str(HERE), DOCKER_HOST=url, DOCKER_BUILDKIT="1")
    for image in IMAGES:
        of = ["-f", str(ROOT / "infra/docker/Dockerfile"), "--target", image, "-t", f"redrive/{image}"]
        _run(client, "build", "-q", *secrets, *of, str(ROOT), DOCKER_HOST=url, DOCKER_BUILDKIT="1")


@dataclass
class Installation:
    """One started by compose."""

    url: str
    probe: Path
    secrets: Path

    def compose(self, *words: str, timeout: float = 600) -> str:
        files = ["-f", str(ROOT / "infra/compose/compose.yaml"), "-f", str(HERE / "override.yaml")]
        return _run(
            "docker-compose", "-p", "redrivetest", *files, *words,
            timeout=timeout, DOCKER_HOST=self.url, PROBE=str(self.probe), COMPOSE_PROFILES="replicated", REDRIVE_JOBS="probe_jobs",
        )  # fmt: skip

    @property
    def api(self) -> Any:
        import docker

        return docker.APIClient(base_url=self.url, version="auto", timeout=60)

    def containers(self) -> dict[str, dict[str, Any]]:
        found = self.api.containers(all=True, filters={"label": "com.docker.compose.project=redrivetest"})
        return {one["Labels"]["com.docker.compose.service"]: self.api.inspect_container(one["Id"]) for one in found}

    def unhealthy(self) -> dict[str, str]:
        """What does not work, by service."""
        states = {name: one["State"] for name, one in self.containers().items()}
        return {
            name: f"{state['Status']} {state.get('Health', {}).get('Status', '')} {state['ExitCode']}"
            for name, state in states.items()
            if not (
                (name in {"migrate", "register"} and state["Status"] == "exited" and state["ExitCode"] == 0)
                or (state["Status"] == "running" and state.get("Health", {}).get("Status", "healthy") == "healthy")
            )
        }

    def kill(self, service: str) -> None:
        """As a crash: its first process is killed, and not by the engine, which would not start it again."""
        os.kill(self.containers()[service]["State"]["Pid"], signal.SIGKILL)

    def log(self, service: str) -> str:
        return str(self.api.logs(self.containers()[service]["Id"], tail=60).decode(errors="replace"))


@pytest.fixture(scope="module")
def installation(engine_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    if not shutil.which("docker-compose"):
        pytest.skip("no compose here (on Debian: apt-get install docker-compose)")
    probe = tmp_path_factory.mktemp("probe")
    probe.chmod(0o755)
    for name in ("probe_jobs.py", "produce.py"):
        shutil.copy(HERE / name, probe)
    (probe / "effects").mkdir()
    (probe / "effects").chmod(0o777)
    secrets = ROOT / "infra" / "compose" / "secrets"
    _run(sys.executable, str(ROOT / "infra/docker/secrets_folder.py"), str(secrets))
    made = Installation(engine_url, probe, secrets)
    try:
        made.compose("up", "-d")
        wait_until(lambda: not made.unhealthy(), 300, "everything to be healthy")
        yield made
    except BaseException:
        for name, why in made.unhealthy().items():
            sys.stderr.write(f"--- {name}: {why}\n{made.log(name)[-1500:]}\n")
        raise
    finally:
        made.compose("down", "-v", "--timeout", "15")


def test_everything_comes_healthy_and_may_no_more_than_it_needs(installation: Installation) -> None:
    found = installation.containers()

    assert len(found) == 16
    for name, one in found.items():
        if one["Config"]["Image"].startswith("redrive/"):
            assert one["Config"]["User"] == "10001:10001", name
            assert one["HostConfig"]["CapDrop"] == ["ALL"]
            assert one["HostConfig"]["ReadonlyRootfs"]
    said = installation.compose("exec", "-T", "ops-worker", "redrive", "--version")
    assert said.strip()


def test_no_secret_is_in_a_description_a_log_a_layer_or_a_list_of_processes(installation: Installation) -> None:
    secrets = [path.read_text().strip() for path in installation.secrets.iterdir() if path.name != "redis-conf"]
    words = {
        word for secret in secrets for word in (secret, secret.rpartition(":")[2].partition("@")[0]) if len(word) > 12
    }
    assert len(words) >= 6

    for name, one in installation.containers().items():
        seen = [str(one), installation.log(name), str(installation.api.history(one["Image"]))]
        if one["State"]["Status"] == "running":
            seen.append(str(installation.api.top(one["Id"])))
        assert not [word for word in words if any(word in text for text in seen)], name


def test_under_load_an_api_server_a_worker_redis_and_postgres_are_killed_and_no_job_is_lost_or_runs_twice_at_once(
    installation: Installation,
) -> None:
    produced = subprocess.Popen(
        ["/usr/bin/docker", "exec", installation.containers()["console"]["Id"], "/opt/redrive/bin/python", "-m",
         "redrive.infra.docker.start", "/opt/redrive/bin/python", "/jobs/produce.py", str(JOBS)],
        env={**os.environ, "DOCKER_HOST": installation.url}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    effects = installation.probe / "effects"

    for number, victim in enumerate(("prefect-1", "worker-1", "redis", "postgres"), 1):
        wait_until(lambda: len(list(effects.iterdir())) >= 20 * number, 240, f"load before {victim} is killed")  # noqa: B023
        installation.kill(victim)
        wait_until(lambda: not installation.unhealthy(), 180, f"everything to be healthy after {victim} was killed")
    out, err = produced.communicate(timeout=300)
    accepted = out.split()
    wait_until(lambda: len(list(effects.iterdir())) == JOBS, 300, "every job to be done")
    wait_until(
        lambda: all(path.read_text().strip() for path in effects.iterdir()), 120, "every job to have noted its end"
    )

    assert len(set(accepted)) == JOBS, err[-2000:]
    for path in effects.iterdir():
        spans = sorted(tuple(map(float, line.split()[:2])) for line in path.read_text().splitlines())
        assert all(first[1] <= second[0] for first, second in pairwise(spans)), f"{path.name} ran twice at once"
