"""One installation by infra/compose in a container engine of the tests' own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.compose_images import run
from tests.support.stack import free_ports
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "support" / "compose"
PROJECT = "redrivetest"
#: What somebody sets to have traces, figures and jobs' logs go to the collector.
TELEMETRY = {
    "COLLECTOR_IMAGE": "redrive/worker:latest",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
}
#: Seconds everything may take to be healthy.
PATIENCE = 300
#: Of our images.
PYTHON = "/opt/redrive/bin/python"


@dataclass
class Installation:
    """One that compose started; `version` is the tag of the images that are started next."""

    url: str
    probe: Path
    secrets: Path
    ports: dict[str, int]
    version: str = "latest"
    #: With tls.yaml.
    tls: bool = False
    #: With logs.yaml and the collector of profile `telemetry`.
    ships: bool = False

    @property
    def effects(self) -> Path:
        """Where each execution of a job notes when it began and ended: a file a job, a line an execution."""
        return self.probe / "effects"

    @property
    def _env(self) -> dict[str, str]:
        return {
            "DOCKER_HOST": self.url, "PROBE": str(self.probe), "REDRIVE_JOBS": "probe_jobs", "REDRIVE_VERSION": self.version,
            "COMPOSE_PROFILES": "replicated,telemetry" if self.ships else "replicated", **(TELEMETRY if self.ships else {}),
            **{f"REDRIVE_{name.upper()}": str(port) for name, port in self.ports.items()},
        }  # fmt: skip

    def _compose(self, *words: str) -> list[str]:
        ours = ["compose.yaml", *(["tls.yaml"] if self.tls else []), *(["logs.yaml"] if self.ships else [])]
        whole = [*(ROOT / "infra" / "compose" / name for name in ours), HERE / "override.yaml"]
        files = [word for file in whole for word in ("-f", str(file))]
        return ["docker-compose", "-p", PROJECT, *files, *words]

    def compose(self, *words: str, timeout: float = 600) -> str:
        return run(*self._compose(*words), timeout=timeout, **self._env)

    def rotate(self, kind: str) -> str:
        """Give it a new secret as `make compose-rotate` does."""
        program = str(ROOT / "infra/docker/rotate.py")
        return run(sys.executable, program, str(self.secrets), kind, *self._compose(), **self._env)

    def roll(self) -> str:
        """Start everything of ours anew as `make compose-roll` does."""
        return run(sys.executable, str(ROOT / "infra/docker/roll.py"), *self._compose(), **self._env)

    def certify(self) -> None:
        """Make the certificates of tls.yaml, and have it from the next start on."""
        run(sys.executable, str(ROOT / "infra/docker/certificates.py"), str(ROOT / "infra/compose/tls"))
        self.tls = True

    def producer(self, name: str, jobs: int, *, seconds: float = 0.3) -> subprocess.Popen[str]:
        """Somebody in a container of the console's image who asks for so many jobs one by one, and prints the id of each."""
        words = ["run", "--rm", "-T", "--no-deps", "console", PYTHON, "/jobs/produce.py", str(jobs), name, str(seconds)]
        return subprocess.Popen(
            self._compose(*words), env={**os.environ, **self._env},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    @property
    def api(self) -> Any:
        import docker

        return docker.APIClient(base_url=self.url, version="auto", timeout=60)

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine says of each, by service."""
        labels = [f"com.docker.compose.project={PROJECT}", "com.docker.compose.oneoff=False"]
        found = self.api.containers(all=True, filters={"label": labels})
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

    def until_healthy(self, when: str) -> None:
        try:
            wait_until(lambda: not self.unhealthy(), PATIENCE, f"everything to be healthy {when}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.unhealthy()}") from None

    def kill(self, service: str) -> None:
        """As a crash: its program is killed, and not by the engine, which would not start it again."""
        before = self.containers()[service]
        os.kill(before["State"]["Pid"], signal.SIGKILL)
        began = before["State"]["StartedAt"]
        wait_until(
            lambda: self.containers()[service]["State"]["StartedAt"] != began, 60, f"{service} to be started again"
        )

    def inside(self, service: str, *command: str) -> str:
        """What a command in a container of it printed, complaints included."""
        made = self.api.exec_create(self.containers()[service]["Id"], list(command))
        return str(self.api.exec_start(made["Id"]).decode(errors="replace"))

    def completed(self) -> set[str]:
        """The runs that Prefect's database knows as completed."""
        return set(self.asked("SELECT id FROM flow_run WHERE state_type = 'COMPLETED'").split())

    def asked(self, query: str) -> str:
        """What Prefect's database answers."""
        login = "PGPASSWORD=$(cat /run/secrets/database-password) psql -h 127.0.0.1 -U redrive -d redrive_prefect"
        return self.inside("postgres", "sh", "-c", f'{login} -Atc "{query}"')

    def shipped(self, name: str) -> list[str]:
        """What the collector noted: `otlp`, requests by their path; `lines`, what containers printed."""
        noted = self.probe / "received" / name
        return noted.read_text().splitlines() if noted.exists() else []

    def log(self, service: str, lines: int | str = 60) -> str:
        return str(self.api.logs(self.containers()[service]["Id"], tail=lines).decode(errors="replace"))

    def executions(self, name: str) -> dict[str, list[tuple[float, float]]]:
        """Begin and end of every execution that was seen to its end, by job of a producer."""
        found = {}
        for path in self.effects.glob(f"{name}-*"):
            lines = [line.split() for line in path.read_text().splitlines()]
            found[path.name] = sorted((float(begun), float(ended)) for begun, ended, *_ in lines)
        return found


def overlapping(executions: dict[str, list[tuple[float, float]]]) -> list[str]:
    """The jobs that ran twice at once."""
    return [name for name, spans in executions.items() if any(one[1] > two[0] for one, two in pairwise(spans))]


@contextmanager
def installed(url: str, probe: Path) -> Iterator[Installation]:
    """An installation that is healthy; what its containers said last is shown when it did not become so."""
    probe.chmod(0o755)
    for name in ("probe_jobs.py", "produce.py", "collector.py"):
        shutil.copy(HERE / name, probe)
    for name in ("effects", "backups", "received"):
        (probe / name).mkdir()
        (probe / name).chmod(0o777)
    secrets = ROOT / "infra" / "compose" / "secrets"
    run(sys.executable, str(ROOT / "infra/docker/secrets_folder.py"), str(secrets))
    made = Installation(url, probe, secrets, free_ports("prefect_port", "console_port"))
    try:
        # A run that was cut off has left its volumes, and with them the keys of its jobs.
        made.compose("down", "-v", "--timeout", "5")
        made.compose("up", "-d")
        made.until_healthy("after the first start")
        yield made
    except BaseException:
        for name, why in made.unhealthy().items():
            sys.stderr.write(f"--- {name}: {why}\n{made.log(name)[-1500:]}\n")
        raise
    finally:
        made.compose("down", "-v", "--timeout", "15")


@pytest.fixture(scope="session")
def installation(engine_with_images: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One for the whole session."""
    with installed(engine_with_images, tmp_path_factory.mktemp("probe")) as made:
        yield made
