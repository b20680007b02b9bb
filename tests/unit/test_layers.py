"""Imports go one way through the house; DESIGN.md draws it."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ALLOWED: dict[str, set[str]] = {
    "blocks": set(),
    "deployments": {"blocks"},
    "flows": {"deployments", "blocks"},
    "dashboards": {"deployments", "blocks"},
    "infra/server": {"blocks"},
    "infra/backup": {"blocks"},
    "infra/docker": {"blocks", "deployments", "infra"},
    "infra/worker": {"blocks"},
    "infra/keeper": {"deployments", "blocks"},
    "infra/profiles": {"blocks", "deployments", "infra"},
    "infra/local": {"blocks", "deployments", "flows", "dashboards", "infra"},
    "infra/public": {"blocks", "deployments", "flows", "dashboards", "infra", "moved"},
    "infra/cli": {"blocks", "deployments", "flows", "dashboards", "infra"},
}


def modules() -> Iterator[tuple[str, Path]]:
    for layer in ALLOWED:
        for path in sorted((ROOT / layer).rglob("*.py")):
            yield layer, path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


@pytest.mark.parametrize(
    ("layer", "path"), [pytest.param(*pair, id=str(pair[1].relative_to(ROOT))) for pair in modules()]
)
def test_imports_go_one_way(layer: str, path: Path) -> None:
    top = layer.partition("/")[0]
    for name in imported(path):
        assert name.partition(".")[0] != "tests", f"{path.relative_to(ROOT)} imports {name}: nothing imports tests"
        if not name.startswith("redrive."):
            assert name != "redrive" or layer == "infra/public", f"{path.relative_to(ROOT)} imports the public package"
            continue
        target = name.split(".")[1]
        assert target == top or target in ALLOWED[layer], (
            f"{path.relative_to(ROOT)} imports {name}: {layer} may import {sorted(ALLOWED[layer])}"
        )


def test_every_package_folder_is_in_the_wheel() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    tops = ("blocks", "deployments", "flows", "infra", "dashboards")
    found = {
        "redrive." + ".".join(folder.relative_to(ROOT).parts)
        for top in tops
        for folder in [ROOT / top, *(ROOT / top).rglob("*")]
        if folder.is_dir() and any(folder.glob("*.py")) and "__pycache__" not in folder.parts
    }
    # What `import redrive` itself gives.
    assert found - {"redrive.infra.public"} | {"redrive"} == listed


def test_no_module_hides_a_standard_one() -> None:
    import sys

    for _, path in modules():
        if path.name != "__init__.py" and path.parent in {ROOT / "flows", ROOT / "deployments", ROOT / "blocks"}:
            assert path.stem not in sys.stdlib_module_names, (
                f"{path.relative_to(ROOT)} would hide the standard module {path.stem}"
            )
