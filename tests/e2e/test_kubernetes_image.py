"""The image of Prefect's Kubernetes worker, as a container of a real engine beside a real server. No cluster: none can be had here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redrive.infra.docker.kubernetes_pool import KIND, read_template
from tests.support.compose_images import DOCKER, ROOT, build_arguments, run
from tests.support.kustomize import K8S
from tests.support.plain_prefect import PATIENCE, PlainPrefect
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

IMAGE = "redrive/kubernetes-worker"
#: What `register` fills in of a pod.
POD = {"POD_NAMESPACE": "redrive", "JOB_IMAGE": "redrive/worker:latest"}
#: As infra/k8s/isolated/worker.yaml has them; the observer watches the cluster's pods, and waits for one.
HARDENED = ["--read-only", "--tmpfs=/tmp:mode=1777", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
WITHOUT_CLUSTER = ["-e", "PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_ENABLED=false"]


@pytest.fixture
def container(engine_with_images: str, plain_prefect: PlainPrefect, tmp_path: Path) -> Iterator[str]:
    """One of the built image, which serves pool `jobs`."""
    of = ["-f", str(ROOT / "infra/docker/Dockerfile"), "--target", "kubernetes-worker", "-t", IMAGE]
    build = ["build", "-q", *build_arguments(tmp_path), *of, str(ROOT)]
    run(DOCKER, *build, DOCKER_HOST=engine_with_images, DOCKER_BUILDKIT="1")
    template = read_template(K8S / "isolated" / "pool.json", POD)
    plain_prefect.api.post("/work_pools/", json={"name": "jobs", "type": KIND, "base_job_template": template})
    given = ["--network", "host", "-e", f"PREFECT_API_URL={plain_prefect.url}", *HARDENED, *WITHOUT_CLUSTER]
    made = run(DOCKER, "run", "-d", "--init", *given, IMAGE, DOCKER_HOST=engine_with_images).strip()
    try:
        yield made
    finally:
        run(DOCKER, "rm", "-f", made, DOCKER_HOST=engine_with_images)
        plain_prefect.api.delete("/work_pools/jobs")


def test_worker_of_the_image_serves_its_pool_is_healthy_and_ends_when_told(
    container: str, engine_with_images: str, plain_prefect: PlainPrefect
) -> None:
    def asked(*words: str) -> str:
        return run(DOCKER, *words, DOCKER_HOST=engine_with_images)

    def state() -> dict[str, Any]:
        return dict(json.loads(asked("inspect", "-f", "{{json .State}}", container)))

    def workers() -> list[tuple[str, str]]:
        found = plain_prefect.api.post("/work_pools/jobs/workers/filter", json={}).json()
        return [(one["name"], one["status"]) for one in found]

    wait_until(lambda: workers() == [("isolated", "ONLINE")], PATIENCE, "the worker to serve the pool")
    wait_until(lambda: state()["Health"]["Status"] == "healthy", PATIENCE, "it to be healthy")
    assert asked("exec", container, "id", "-u").strip() == "10001"

    asked("stop", "--time", "30", container)

    assert state()["ExitCode"] == 0, asked("logs", container)[-2000:]
