"""`make compose-up` and `make compose-down`, as somebody types them who has a container engine and a clone."""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.compose_images import DOCKER, ROOT, build_arguments, run
from tests.support.stack import free_ports

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3000)]

#: As the Makefile names it.
OF_PROJECT = "label=com.docker.compose.project=redrive"


@dataclass(frozen=True)
class Clone:
    """Where make is typed, with an engine that has the images in its cache."""

    url: str
    ports: dict[str, int]
    build: str

    def make(self, target: str) -> str:
        ports = {f"REDRIVE_{name.upper()}": str(port) for name, port in self.ports.items()}
        # Debian's client before any other one: it needs nothing beside it to build.
        path = f"{Path(DOCKER).parent}:{os.environ['PATH']}"
        words = ["make", "-C", str(ROOT), target, f"BUILD_ARGS={self.build}", "PYTHON=/usr/bin/python3"]
        return run(*words, DOCKER_HOST=self.url, PATH=path, **ports)

    def docker(self, *words: str) -> str:
        return run(DOCKER, *words, DOCKER_HOST=self.url)

    def redrive(self, *words: str) -> str:
        """A command of ours, in the container of the worker for housekeeping."""
        container = self.docker("ps", "-q", "--filter", OF_PROJECT, "--filter", "name=ops-worker").strip()
        return self.docker("exec", container, "redrive", *words)

    def answers(self, port: str, path: str) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[port]}{path}", timeout=10) as answer:
            return int(answer.status)


@pytest.fixture(scope="module")
def clone(engine_with_images: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    build = " ".join(build_arguments(tmp_path_factory.mktemp("build")))
    made = Clone(engine_with_images, free_ports("prefect_port", "console_port"), build)
    try:
        yield made
    finally:
        made.make("compose-down")
        for volume in made.docker("volume", "ls", "-q", "--filter", OF_PROJECT).split():
            made.docker("volume", "rm", "-f", volume)


def test_installation_comes_runs_a_job_and_keeps_it_while_it_is_down(clone: Clone) -> None:
    came = clone.make("compose-up")

    assert f"all is healthy; console: http://127.0.0.1:{clone.ports['console_port']}" in came
    assert clone.answers("console_port", "/alive") == 200
    assert clone.answers("prefect_port", "/api/ready") == 200
    asked = clone.redrive("enqueue", "prune", "--wait")
    assert "Completed" in asked
    (job,) = set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", asked))

    clone.make("compose-down")

    assert clone.docker("ps", "-aq", "--filter", OF_PROJECT) == ""
    clone.make("compose-up")
    assert "Completed" in clone.redrive("jobs", "show", job)


def test_console_link_that_the_installation_prints_signs_in(clone: Clone) -> None:
    container = clone.docker("ps", "-q", "--filter", OF_PROJECT, "--filter", "name=console").strip()

    link = clone.docker("exec", container, "redrive", "console", "link").split()[-1]

    path = link.partition(":4300")[2]
    with urllib.request.urlopen(f"http://127.0.0.1:{clone.ports['console_port']}{path}", timeout=10) as page:
        assert page.status == 200
