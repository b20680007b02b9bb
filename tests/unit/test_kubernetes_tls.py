"""infra/k8s/tls: who speaks TLS, who believes it, and that nobody is asked without."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from redrive.infra.docker.healthy import SPEAK_TLS
from tests.support.kustomize import example_with

Objects = dict[tuple[str, str], dict[str, Any]]

#: Of cert-manager, and of others: no registry offers their schemas.
FOREIGN = {"Issuer", "Certificate", "ScaledObject", "ServiceMonitor", "PrometheusRule"}
SPEAK = sorted(set(SPEAK_TLS) - {"server-alone"})


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Objects:
    return example_with("tls", tmp_path_factory.mktemp("tls"))


def container(of: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = of["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize("version", ["1.29", "1.33"])
def test_it_is_valid_by_the_published_schemas(rendered: Objects, version: str) -> None:
    for (kind, _), one in rendered.items():
        if kind not in FOREIGN:
            kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("name", SPEAK)
def test_who_speaks_it_has_a_certificate_of_its_name_and_is_asked_by_it(rendered: Objects, name: str) -> None:
    deployment = rendered["Deployment", name]
    volumes = {one["name"]: one for one in deployment["spec"]["template"]["spec"]["volumes"]}
    issued = rendered["Certificate", name]["spec"]

    assert volumes["tls"]["secret"]["secretName"] == issued["secretName"]
    assert name in issued["dnsNames"]
    assert {"name": "REDRIVE_TLS", "value": "/run/tls"} in container(deployment)["env"]
    probes = [probe["httpGet"]["scheme"] for key, probe in container(deployment).items() if key.endswith("Probe")]
    assert set(probes) == {"HTTPS"}


def test_everybody_else_asks_by_https_and_believes_the_authority(rendered: Objects) -> None:
    asks = 0
    for (kind, name), one in rendered.items():
        if kind not in {"Deployment", "Job"}:
            continue
        env = [entry["name"] for entry in container(one)["env"]]
        assert len(env) == len(set(env)), name
        given = {entry["name"]: entry.get("value") for entry in container(one)["env"]}
        if "PREFECT_API_URL" in given:
            asks += 1
            assert given["PREFECT_API_URL"] == "https://server:4200/api", name
            assert given["REDRIVE_CA"] == "/run/ca/ca.crt", name
    assert asks == 6


def test_prometheus_scrapes_by_https(rendered: Objects) -> None:
    for kind, name in rendered:
        if kind == "ServiceMonitor":
            (endpoint,) = rendered[kind, name]["spec"]["endpoints"]
            assert endpoint["scheme"] == "https"
            assert ("Certificate", endpoint["tlsConfig"]["serverName"]) in rendered
