"""infra/k8s as kubectl renders it; without kubectl, tests are skipped with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

K8S = Path(__file__).resolve().parents[2] / "infra" / "k8s"


def example_with(component: str, folder: Path, **more: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """The objects of the example with a component, by kind and name; its kustomization lies in a new folder."""
    beside = os.path.relpath(K8S, folder.resolve())
    installation = {
        "namespace": "redrive",
        "resources": [f"{beside}/example"],
        "components": [f"{beside}/{component}"],
        **more,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(installation))
    return {(one["kind"], one["metadata"]["name"]): one for one in kustomized(folder)}


def kustomized(folder: Path) -> list[dict[str, Any]]:
    """The objects of an installation."""
    kubectl = shutil.which("kubectl")
    if not kubectl:
        pytest.skip("no kubectl here, so nothing can be rendered")
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]
