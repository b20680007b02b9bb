"""A container engine that has the images of infra/compose: ours, built from the checkout, and what stands in for those of others.

Where no engine can be started, or compose is missing, tests are skipped with the reason. The base image is debootstrap's, as no public
one can be had here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import TestEngine

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "support" / "compose"
IMAGES = ("server", "worker", "keeper", "exporter", "console")
#: What compose.yaml takes from others, by the target of tests/support/compose/Dockerfile that stands in.
OTHERS = {
    "postgres": "postgres:17-bookworm",
    "redis": "redis:7-bookworm",
    "nginx": "nginx:1.27-bookworm",
    "prometheus": "prom/prometheus:v3.1.0",
    "alertmanager": "prom/alertmanager:v0.28.0",
}
#: An engine that has the images already, for trying by hand.
GIVEN = "TEST_ENGINE_WITH_IMAGES"
#: Debian's client: it builds with BuildKit, by the engine of the same version.
DOCKER = "/usr/bin/docker"


def run(*command: str, timeout: float = 900, **env: str) -> str:
    """What a command printed; it must succeed."""
    done = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=timeout
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def engine_with_images() -> Iterator[str]:
    """The address of an engine that has every image; one for the whole session, as they take minutes."""
    if given := os.environ.get(GIVEN):
        yield given
        return
    if not shutil.which("debootstrap"):
        pytest.skip("no base image here: debootstrap is missing (on Debian: apt-get install debootstrap)")
    if not shutil.which("docker-compose"):
        pytest.skip("no compose here (on Debian: apt-get install docker-compose)")
    with TestEngine(networks=True) as engine:
        _base(engine)
        _build(engine.url, engine.home)
        yield engine.url


def _base(engine: TestEngine) -> None:
    folder = engine.home / "base"
    run("debootstrap", "--variant=minbase", "bookworm", str(folder))
    tar = engine.home / "base.tar"
    run("tar", "-C", str(folder), "-cf", str(tar), ".")
    engine.api.import_image_from_file(str(tar), repository="debian", tag="bookworm-slim")


def build_arguments(folder: Path) -> list[str]:
    """What a build of our images needs to reach a registry from here; the files lie in the folder."""
    pip = folder / "pip.conf"
    pip.write_text("[global]\ncert = /run/ca.pem\ntimeout = 180\n")
    return ["--secret", f"id=pip,src={pip}", "--secret", "id=ca,src=/etc/ssl/certs/ca-certificates.crt"]


def _build(url: str, folder: Path) -> None:
    secrets = build_arguments(folder)
    for target, image in OTHERS.items():
        run(DOCKER, "build", "-q", "--target", target, "-t", image, str(HERE), DOCKER_HOST=url, DOCKER_BUILDKIT="1")
    for image in IMAGES:
        of = ["-f", str(ROOT / "infra/docker/Dockerfile"), "--target", image, "-t", f"redrive/{image}"]
        run(DOCKER, "build", "-q", *secrets, *of, str(ROOT), DOCKER_HOST=url, DOCKER_BUILDKIT="1")
