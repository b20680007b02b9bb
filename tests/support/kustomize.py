"""infra/k8s as kubectl renders it; without kubectl, tests are skipped with the reason."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

K8S = Path(__file__).resolve().parents[2] / "infra" / "k8s"


def kustomized(folder: Path) -> list[dict[str, Any]]:
    """The objects of an installation."""
    kubectl = shutil.which("kubectl")
    if not kubectl:
        pytest.skip("no kubectl here, so nothing can be rendered")
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]
