"""prefect.yaml is what the catalog says."""

from __future__ import annotations

from pathlib import Path

from redrive.deployments.prefect_yaml import render


def test_prefect_yaml_and_the_catalog_do_not_drift() -> None:
    committed = (Path(__file__).resolve().parents[2] / "prefect.yaml").read_text()

    assert committed == render(), "write it anew: python -m redrive.deployments.prefect_yaml > prefect.yaml"
