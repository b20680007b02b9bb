"""The command line in a test's own process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from redrive.infra.cli.main import app
from tests.support.job_stack import JobStack


class Commands:
    """`redrive` in this process: what it printed, and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.code: int = 0

    def __call__(self, *arguments: str) -> str:
        self._capsys.readouterr()
        self.code = app(arguments) or 0
        return self._capsys.readouterr().out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def redrive(job_stack: JobStack, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(capsys)
