"""Prometheus and its tools, real ones: found where Debian puts them, or where `make test` unpacks them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.stack import LocalStack, free_ports
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]

EXAMPLE = ROOT / "infra" / "prometheus" / "prometheus.yml"

#: Where the Makefile unpacks Debian's packages.
UNPACKED = ROOT / "build" / "tools" / "usr" / "bin"


def tool(name: str) -> str:
    """Path of `promtool`, `amtool`, `prometheus`; skips the test where there is none, and says so."""
    found = installed(name)
    if not found:
        pytest.skip(
            f"{name} is missing: `make tools` fetches it on Debian; elsewhere install Prometheus and Alertmanager"
        )
    return found


def installed(name: str) -> str | None:
    """Path of a tool, if it is here."""
    return shutil.which(name) or shutil.which(name, path=str(UNPACKED))


def run_tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool; what it said and how it ended."""
    return subprocess.run([tool(name), *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


class Prometheus:
    """A running Prometheus, asked over its own API."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url = url
        self._process = process
        self._log = log
        self._client = httpx.Client(base_url=url, timeout=20, trust_env=False)

    @property
    def ready(self) -> bool:
        assert self._process.poll() is None, f"Prometheus ended:\n{self._log.read_text()[-4000:]}"
        try:
            return self._client.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The series of an instant query; its error fails the test."""
        return self._result("/api/v1/query", query=promql)

    def figures(self, promql: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Values of an instant query by their labels, the name and the target's own labels left out."""
        own = {"__name__", "instance"}
        return {
            tuple(sorted((name, value) for name, value in one["metric"].items() if name not in own)): float(
                one["value"][1]
            )
            for one in self.query(promql)
        }

    def query_range(self, promql: str, *, start: float, end: float, step: float) -> list[dict[str, Any]]:
        return self._result("/api/v1/query_range", query=promql, start=start, end=end, step=step)

    def value(self, promql: str) -> float | None:
        """The only value of an instant query, if it has one."""
        found = self.query(promql)
        return float(found[0]["value"][1]) if found else None

    def alerts(self, state: str = "firing") -> list[dict[str, Any]]:
        """The alerts in that state, with labels and annotations."""
        alerts = self._get("/api/v1/alerts")["alerts"]
        return [alert for alert in alerts if alert["state"] == state]

    def _result(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        data = self._get(path, **parameters)
        result: list[dict[str, Any]] = data["result"]
        return result

    def _get(self, path: str, **parameters: Any) -> dict[str, Any]:
        answer = self._client.post(path, data=parameters) if parameters else self._client.get(path)
        told = answer.json()
        assert told["status"] == "success", f"{parameters}: {told.get('error')}"
        data: dict[str, Any] = told["data"]
        return data


@contextmanager
def running_prometheus(
    folder: Path, scrapes: Iterable[dict[str, Any]], rules: Path | None = None
) -> Iterator[Prometheus]:
    """A Prometheus of one's own that scrapes and looks at its rules every second; ended at the end, its data left in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)] if rules else [],
        "scrape_configs": list(scrapes),
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    port = free_ports("port")["port"]
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                tool("prometheus"),
                f"--config.file={file}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        prometheus = Prometheus(f"http://127.0.0.1:{port}", process, log)
        wait_until(lambda: prometheus.ready, 30, "Prometheus to be ready")
        yield prometheus
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def scraping(target: str) -> Iterator[Prometheus]:
    """A Prometheus of one's own for one exporter at `host:port`."""
    jobs = yaml.safe_load(EXAMPLE.read_text())["scrape_configs"]
    ours = next(job for job in jobs if job["job_name"] == "redrive")
    with (
        tempfile.TemporaryDirectory(prefix="redrive-prometheus-", ignore_cleanup_errors=True) as folder,
        running_prometheus(Path(folder), [ours | {"static_configs": [{"targets": [target]}]}]) as prometheus,
    ):
        yield prometheus


def scrapes(stack: LocalStack) -> list[dict[str, Any]]:
    """The scrape jobs of infra/prometheus/prometheus.yml, pointed at a test's stack."""
    jobs = {job["job_name"]: job for job in yaml.safe_load(EXAMPLE.read_text())["scrape_configs"]}
    user, _, password = (stack.settings.auth_string() or "").partition(":")
    targets = {"redrive": stack.settings.metrics_port, "prefect": stack.settings.prefect_port}
    found = [jobs[name] | {"static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for name, port in targets.items()]
    found[1] |= {
        "basic_auth": {"username": user, "password": password},
        "scrape_interval": "5s",
        "scrape_timeout": "4s",
    }
    return found
