"""infra/k8s/isolated: the worker that makes a pod for each job, what it may do, and the pods that come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from prefect.workers.base import BaseJobConfiguration

from redrive.blocks.core.errors import SettingsError
from redrive.infra.docker.kubernetes_pool import read_template
from redrive.infra.docker.roles import ROLES
from tests.support.kustomize import K8S, example_with

#: What `register` has in its pod.
POD = {"POD_NAMESPACE": "redrive", "JOB_IMAGE": "registry.example.com/redrive/worker:0.1.0"}
VERSIONS = ("1.29", "1.33")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """The example with this component, as README.md tells to use it."""
    secret = {
        "name": "redrive-jobs",
        "literals": ["prefect-auth=redrive:x"],
        "options": {"disableNameSuffixHash": True},
    }
    return example_with("isolated", tmp_path_factory.mktemp("isolated"), secretGenerator=[secret])


Made = Callable[..., dict[str, Any]]


@pytest.fixture
def made() -> Made:
    """The job that Prefect's own templating makes for a deployment with such variables."""

    class Configuration(BaseJobConfiguration):
        job_manifest: dict[str, Any]
        namespace: str

    def of(**variables: Any) -> dict[str, Any]:
        template = read_template(K8S / "isolated" / "pool.json", POD)
        found = asyncio.run(Configuration.from_template_and_values(template, variables))
        # Prefect's Kubernetes worker puts these in.
        container = found.job_manifest["spec"]["template"]["spec"]["containers"][0]
        container["env"] = [{"name": name, "value": value} for name, value in (found.env or {}).items()]
        container["args"] = ["prefect", "flow-run", "execute"]
        found.job_manifest["metadata"]["generateName"] = "name-"
        return found.job_manifest

    return of


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_valid_by_the_published_schemas(
    rendered: dict[tuple[str, str], dict[str, Any]], made: Made, version: str
) -> None:
    for (kind, _), one in rendered.items():
        if kind not in {"ServiceMonitor", "PrometheusRule"}:
            kubernetes_validate.validate(one, version, strict=True)
    # Prefect's worker insists on two fields in the pod that belong to the job; Kubernetes drops them.
    job = made(memory_limit=512)
    for name in ("parallelism", "completions"):
        assert job["spec"]["template"]["spec"].pop(name) == 1
    kubernetes_validate.validate(job, version, strict=True)


def test_pod_of_a_job_may_no_more_than_a_worker_and_has_its_limits(made: Made) -> None:
    pod = made(memory_limit=512, timeout=60, isolation="container")["spec"]

    spec, container = pod["template"]["spec"], pod["template"]["spec"]["containers"][0]
    assert pod["activeDeadlineSeconds"] == 60
    assert pod["backoffLimit"] == 0, "whether it starts again is decided by the keeper"
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "512Mi"}
    assert container["image"] == POD["JOB_IMAGE"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["automountServiceAccountToken"] is False


def test_job_without_a_limit_of_its_own_has_one_all_the_same(made: Made) -> None:
    job = made()["spec"]

    assert job["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "1024Mi"
    assert "activeDeadlineSeconds" not in job


def test_worker_makes_pods_in_its_own_namespace_and_reads_no_secret(
    rendered: dict[tuple[str, str], dict[str, Any]],
) -> None:
    rules = rendered["Role", "redrive-isolated"]["rules"]
    worker = rendered["Deployment", "worker"]["spec"]["template"]["spec"]

    assert not [kind for kind, _ in rendered if kind.startswith("ClusterRole")]
    assert not [rule for rule in rules if {"secrets", "*"} & set(rule["resources"]) or "*" in rule["verbs"]]
    assert {"create", "delete"} <= {verb for rule in rules if rule["resources"] == ["jobs"] for verb in rule["verbs"]}
    assert worker["serviceAccountName"] == "redrive-isolated"
    assert worker["containers"][0]["args"] == ["kubernetes-worker"]
    # Nobody else has a token.
    others = [
        one["spec"]["template"]["spec"]["automountServiceAccountToken"]
        for (kind, name), one in rendered.items()
        if kind in {"Deployment", "Job"} and name != "worker"
    ]
    assert not any(others)
    assert ("ScaledObject", "worker") not in rendered


def test_password_of_the_api_is_in_a_secret_that_pods_name(rendered: dict[tuple[str, str], dict[str, Any]]) -> None:
    env = {
        one["name"]: one.get("value")
        for one in rendered["Deployment", "worker"]["spec"]["template"]["spec"]["containers"][0]["env"]
    }

    named = "PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET"
    secret = rendered["Secret", env[f"{named}_NAME"] or ""]
    assert (env[f"{named}_KEY"] or "") in secret["data"]


def test_each_start_of_it_has_the_same_name_so_that_it_knows_the_pods_of_the_last_one() -> None:
    first, second = ROLES["kubernetes-worker"].program({})[0], ROLES["kubernetes-worker"].program({})[0]

    assert first == second
    assert first[first.index("--type") + 1] == "kubernetes"


def test_template_that_lacks_something_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="needs JOB_IMAGE in the environment"):
        read_template(K8S / "isolated" / "pool.json", {"POD_NAMESPACE": "x"})
    with pytest.raises(SettingsError, match="cannot be read"):
        read_template(tmp_path / "none.json", {})


def test_prefects_own_worker_takes_the_template() -> None:
    worker = pytest.importorskip(
        "prefect_kubernetes.worker", reason="Prefect's Kubernetes worker is not installed: extra `kubernetes`"
    )
    template = read_template(K8S / "isolated" / "pool.json", POD)

    made = asyncio.run(
        worker.KubernetesWorkerJobConfiguration.from_template_and_values(template, {"memory_limit": 512})
    )

    assert made.namespace == "redrive"
    assert made.job_manifest["spec"]["template"]["metadata"]["labels"] == {"redrive.dev/job": "true"}
