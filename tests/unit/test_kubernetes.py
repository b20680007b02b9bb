"""infra/k8s as it is rendered: valid by the schemas that Kubernetes publishes, restricted, and whole."""

from __future__ import annotations

from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml

from redrive.dashboards.alerts import kubernetes
from redrive.infra.docker.roles import ROLES
from tests.support.kustomize import K8S, kustomized

ROOT = K8S.parents[1]
#: Of other projects, whose schemas no registry offers: their parts are looked at below.
FOREIGN = {"ScaledObject", "ServiceMonitor", "PrometheusRule"}
#: Of Kubernetes: what is widely run, and the newest there is.
VERSIONS = ("1.29", "1.33")


@cache
def rendered() -> list[dict[str, Any]]:
    return kustomized(K8S / "example")


def of(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in rendered() if one["kind"] == kind}


def pods() -> dict[str, dict[str, Any]]:
    return {name: one["spec"]["template"] for kind in ("Deployment", "Job") for name, one in of(kind).items()}


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_is_valid_by_the_published_schemas(version: str) -> None:
    for one in rendered():
        if one["kind"] not in FOREIGN:
            kubernetes_validate.validate(one, version, strict=True)


def test_every_role_has_its_workload() -> None:
    assert set(pods()) == set(ROLES) - {"server-alone", "kubernetes-worker"}
    assert {name: pod["spec"]["containers"][0]["args"] for name, pod in pods().items()} == {
        name: [name] for name in pods()
    }


def test_no_pod_may_more_than_it_needs() -> None:
    for name, pod in pods().items():
        spec, container = pod["spec"], pod["spec"]["containers"][0]
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])


def test_no_secret_stands_in_an_environment_and_only_who_needs_the_databases_has_their_address() -> None:
    for name, pod in pods().items():
        names = {one["name"] for one in pod["spec"]["containers"][0]["env"]}
        assert not names & {"REDRIVE_DATABASE_URL", "REDRIVE_REDIS_URL", "PREFECT_API_AUTH_STRING"}
        keys = {
            item["key"] for volume in pod["spec"]["volumes"] if "secret" in volume for item in volume["secret"]["items"]
        }
        assert ("database-url" in keys) == (name not in {"worker", "register"}), name


def test_workers_drain_within_their_time_and_never_all_at_once() -> None:
    worker = of("Deployment")["worker"]["spec"]
    env = {one["name"]: one["value"] for one in worker["template"]["spec"]["containers"][0]["env"]}

    assert worker["template"]["spec"]["terminationGracePeriodSeconds"] > float(env["REDRIVE_DRAIN_TIMEOUT"])
    assert worker["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert of("PodDisruptionBudget")["worker"]["spec"]["maxUnavailable"] == 1
    assert of("PodDisruptionBudget")["server"]["spec"]["minAvailable"] == 1


def test_more_workers_come_for_the_figures_that_the_exporter_has() -> None:
    scaled = of("ScaledObject")["worker"]["spec"]

    assert scaled["scaleTargetRef"]["name"] in of("Deployment")
    asked = " ".join(trigger["metadata"]["query"] for trigger in scaled["triggers"])
    assert "queue_jobs_waiting" in asked
    assert "queue_oldest_waiting_seconds" in asked


def test_what_is_scraped_is_there_and_its_port_has_that_name() -> None:
    for monitor in of("ServiceMonitor").values():
        wanted = monitor["spec"]["selector"]["matchLabels"]
        found = [one for one in of("Service").values() if wanted.items() <= one["metadata"]["labels"].items()]
        assert [port["name"] for one in found for port in one["spec"]["ports"]] == [
            end["port"] for end in monitor["spec"]["endpoints"]
        ]


def test_policies_speak_of_pods_that_there_are() -> None:
    labels = [pod["metadata"]["labels"] for pod in pods().values()]
    assert all(one["app.kubernetes.io/part-of"] == "redrive" for one in labels)
    names = {one["app.kubernetes.io/name"] for one in labels}
    for policy in of("NetworkPolicy").values():
        for expression in policy["spec"]["podSelector"].get("matchExpressions", ()):
            assert set(expression["values"]) <= names


def test_alerts_are_those_of_the_dashboards() -> None:
    assert (K8S / "monitoring" / "rules.yaml").read_text() == kubernetes.made(), (
        "run redrive.dashboards.alerts.kubernetes"
    )
    assert of("PrometheusRule")["redrive"]["spec"] == yaml.safe_load(
        (ROOT / "dashboards" / "alerts" / "rules.yaml").read_text()
    )
