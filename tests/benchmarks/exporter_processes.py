"""Exporters as processes of the exporter's benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from tests.support.waiting import wait_until

PUBLIC = os.environ.get("BENCH_PREFECT_EXPORTER")

PUBLIC_PYTHON = os.environ.get("BENCH_PREFECT_EXPORTER_PYTHON", sys.executable)


@contextmanager
def _started(argv: list[str], environment: dict[str, str], folder: Path, port: int) -> Iterator[psutil.Process]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(argv, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            wait_until(lambda: _listens(port) or process.poll() is not None, 300, f"{argv[-1]} to listen")
            assert process.poll() is None, f"{argv} ended with {process.returncode}"
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


def _listens(port: int) -> bool:
    try:
        with httpx.Client(trust_env=False, timeout=300) as client:
            client.get(f"http://127.0.0.1:{port}/none-of-these")
    except httpx.HTTPError:
        return False
    return True
