"""The collector's configuration holds together, and the collector takes it where there is one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).resolve().parents[2] / "infra" / "otel" / "collector.yaml"
PARTS = ("receivers", "processors", "exporters")


def given() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


@pytest.mark.parametrize("part", PARTS)
def test_what_pipelines_name_is_there_and_all_of_it_is_used(part: str) -> None:
    pipelines = given()["service"]["pipelines"].values()

    assert {name for one in pipelines for name in one[part]} == given()[part].keys()


def test_what_limits_memory_comes_first_and_batches_last() -> None:
    for one in given()["service"]["pipelines"].values():
        assert (one["processors"][0], one["processors"][-1]) == ("memory_limiter", "batch")


def test_no_key_stands_in_it() -> None:
    for exporter in given()["exporters"].values():
        for value in exporter.get("headers", {}).values():
            assert re.fullmatch(r"(Basic )?\$\{env:[A-Z_]+\}", value)


def test_the_collector_takes_it() -> None:
    collector = shutil.which("otelcol") or shutil.which("otelcol-contrib")
    if collector is None:
        pytest.skip("no otelcol here")
    names = set(re.findall(r"\$\{env:([A-Z_]+)\}", FILE.read_text()))
    environment = {**os.environ, **dict.fromkeys(names, "http://127.0.0.1:9")}

    done = subprocess.run(
        [collector, "validate", "--config", str(FILE)], capture_output=True, text=True, check=False, env=environment
    )

    assert done.returncode == 0, done.stderr
