"""No modules need each other while they load, across folders and inside them. What a function imports when it is called does not count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("blocks", "deployments", "flows", "infra", "dashboards")

Graph = dict[str, set[str]]


def imports(sources: dict[str, str]) -> Graph:
    """Which of these modules each of them imports while it loads, by its source."""
    return {
        name: {wanted for wanted in imported(ast.parse(text), sources) if wanted != name}
        for name, text in sources.items()
    }


def imported(tree: ast.Module, known: dict[str, str]) -> Iterator[str]:
    for node in loaded(tree):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            named = [part if part in known else node.module for part in parts]
        else:
            continue
        yield from (name for name in named if name in known)


def loaded(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is loaded."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from loaded(child)


def circle(graph: Graph) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_is_needed_by_one_that_it_needs() -> None:
    sources = {
        ".".join(["redrive", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__"): path.read_text()
        for top in TOPS
        for path in (ROOT / top).rglob("*.py")
    }

    assert circle(imports(sources)) == []


@pytest.mark.parametrize(
    ("second", "found"),
    [
        ("from redrive.a import one", True),
        ("import redrive.a", True),
        ("class Two:\n    from redrive import a", True),
        ("def two():\n    from redrive.a import one", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from redrive.a import One", False),
        ("from redrive.c import one", False),
    ],
)
def test_circle_is_found_by_what_is_imported_while_loading(second: str, *, found: bool) -> None:
    sources = {"redrive": "", "redrive.a": "from redrive.b import two", "redrive.b": second, "redrive.c": ""}

    assert bool(circle(imports(sources))) is found
