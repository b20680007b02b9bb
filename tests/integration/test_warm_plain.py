"""A plain Prefect project, on a stock server, that installs the package and has nothing else of Redrive: no stack, no settings.

The package is installed with its extra `worker`, from a built wheel into an environment of its own, by uv or pip.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import plain_prefect
from tests.support.plain_prefect import PATIENCE, PlainPrefect
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).resolve().parents[2]
#: What a wheel is built from.
SOURCES = ("blocks", "dashboards", "deployments", "flows", "infra", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def python() -> Iterator[str]:
    """The interpreter of an environment that has the wheel and no sources."""
    with tempfile.TemporaryDirectory(prefix="plain-project-") as folder:
        home = Path(folder)
        environment = home / "venv"
        venv.create(environment, with_pip=False)
        python = environment / "bin" / "python"
        _install(python, _wheel(home))
        yield str(python)


@pytest.fixture(scope="module")
def prefect(python: str) -> Iterator[PlainPrefect]:
    with plain_prefect.running_prefect(python) as prefect:
        yield prefect


def test_package_comes_from_the_wheel_and_brings_the_worker_type(prefect: PlainPrefect) -> None:
    program = "import redrive.infra.worker.warm_worker as it; print(it.__file__)"

    where = subprocess.run(
        [prefect.python, "-P", "-c", program],
        env=prefect.env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    ).stdout

    assert "site-packages/redrive/infra/worker" in where
    assert str(ROOT) not in where
    prefect.command("work-pool", "create", "by-command", "--type", "warm")
    pool = prefect.api.get("/work_pools/by-command").json()
    assert pool["type"] == "warm"
    assert {"isolation", "slots", "preload", "memory_limit", "timeout"} <= set(
        pool["base_job_template"]["variables"]["properties"]
    )


def test_worker_makes_its_pool_and_runs_flows_by_module_and_by_file(prefect: PlainPrefect) -> None:
    worker = prefect.worker("made-by-worker", limit=2)
    try:
        by_module = prefect.deploy("plain", "made-by-worker")
        by_file = prefect.deploy("coroutine", "made-by-worker", from_file=True)

        runs = [prefect.begin(by_module, number=3), prefect.begin(by_file, number=4)]

        for run_id in runs:
            assert prefect.end_of(run_id)["state_name"] == "Completed"
            wait_until(lambda run_id=run_id: prefect.logs(run_id), 60, "the logs of the run")
        family = [worker.process.pid, *(process.pid for process in worker.below())]
        for pid in family:
            environment = Path(f"/proc/{pid}/environ").read_text()
            assert "REDRIVE_" not in environment
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        assert "Traceback" not in worker.log
    finally:
        worker.end()


def test_job_is_limited_and_cancelled_without_the_rest_of_redrive(prefect: PlainPrefect) -> None:
    pool = prefect.pool()
    folder = prefect.folder("limits")
    with prefect.working(pool, limit=2):
        late = prefect.begin(prefect.deploy("stuck", pool, job_variables={"timeout": 3}), folder=str(folder))
        waiting = prefect.begin(prefect.deploy("hooked", pool), folder=str(folder), do="wait")
        wait_until((folder / "waiting").exists, PATIENCE, "the job to run")
        prefect.in_state(waiting, "Running")
        prefect.cancel(waiting)

        assert prefect.end_of(waiting)["state_name"] == "Cancelled"
        assert "hard timeout" in prefect.end_of(late)["state"]["message"]
    assert json.loads((folder / "on_cancellation").read_text())["value"] == ["hooked", "CANCELLING"]


def _wheel(home: Path) -> Path:
    """Built from a copy, so that the tree stays as it is."""
    source = home / "source"
    source.mkdir()
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(path, source)
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", str(home), str(source))
    (wheel,) = home.glob("*.whl")
    return wheel


def _install(python: Path, wheel: Path) -> None:
    """As the Makefile does: uv is fast, pip reaches every index that it is set up for."""
    constraints = ("-c", str(ROOT / "constraints.txt"), f"{wheel}[worker]")
    try:
        _run(sys.executable, "-m", "uv", "pip", "install", "-q", "--python", str(python), *constraints)
    except AssertionError:
        _run(sys.executable, "-m", "pip", "--python", str(python), "install", "-q", *constraints)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
