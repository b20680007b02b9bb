"""A real Prometheus of the test's own, scraping one exporter every second. Skips where none is installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.stack import free_ports
from tests.support.waiting import wait_until

CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: redrive
    honor_labels: true
    static_configs: [{{targets: ["{target}"]}}]
"""


class Prometheus:
    """Answers PromQL."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, trust_env=False)

    def query(self, asked: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Values by labels, the name and the target's own labels left out."""
        answer = self._client.get("/api/v1/query", params={"query": asked})
        answer.raise_for_status()
        found = answer.json()["data"]["result"]
        return {_labels(one["metric"]): float(one["value"][1]) for one in found}

    def is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").is_success
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        self._client.close()


def _labels(metric: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in metric.items() if name not in {"__name__", "instance"}))


@contextmanager
def scraping(target: str) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no Prometheus is installed; Debian's package is `prometheus`")
    (port,) = free_ports("port").values()
    with tempfile.TemporaryDirectory(prefix="redrive-prometheus-", ignore_cleanup_errors=True) as folder:
        configuration = Path(folder) / "prometheus.yml"
        configuration.write_text(CONFIGURATION.format(target=target))
        with (Path(folder) / "log").open("w") as log:
            process = subprocess.Popen(
                [
                    program, f"--config.file={configuration}", f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        found = Prometheus(f"http://127.0.0.1:{port}")
        try:
            wait_until(found.is_ready, 60, "Prometheus to be ready")
            yield found
        finally:
            found.close()
            process.terminate()
            process.wait(30)
