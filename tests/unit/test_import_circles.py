"""No modules need each other, and no folders: every import counts, also in a function and for types alone.

In each folder its files and the folders in it are compared as they stand there: `blocks/prefect` may import `blocks/core` or the
other way round, never both, whichever files they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("blocks", "deployments", "flows", "infra", "dashboards")
#: Where the modules of `redrive` itself lie.
PUBLIC = "infra/public"

Graph = dict[str, set[str]]


def sources() -> dict[str, str]:
    """The text of every module, by its path without `.py`."""
    return {
        path.relative_to(ROOT).with_suffix("").as_posix(): path.read_text()
        for top in TOPS
        for path in (ROOT / top).rglob("*.py")
    }


@cache
def house() -> Graph:
    """Which modules each module of the house imports."""
    return imports(sources())


def imports(texts: Mapping[str, str]) -> Graph:
    """Which of these modules each of them imports, by its source."""
    named = {module(path): path for path in texts}
    return {
        path: {named[name] for name in imported(ast.parse(text), named) if named[name] != path}
        for path, text in texts.items()
    }


def module(path: str) -> str:
    path = path.removeprefix(PUBLIC).lstrip("/") if path.startswith(f"{PUBLIC}/") else path
    return f"redrive/{path}".removesuffix("/__init__").replace("/", ".")


def imported(tree: ast.Module, known: Mapping[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [part if part in known else node.module for part in parts]
        else:
            continue
        yield from (name for name in names if name in known)


def circle(graph: Graph) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def within(folder: str, graph: Graph) -> Graph:
    """How the files and folders that lie in a folder import each other, those in its own folders counted as the folder."""
    found: Graph = {}
    for path, wanted in graph.items():
        if one := entry(folder, path):
            others = {other for name in wanted if (other := entry(folder, name)) and other != one}
            found.setdefault(one, set()).update(others)
    return found


def entry(folder: str, path: str) -> str:
    """What of a folder a module belongs to; nothing if it lies elsewhere."""
    return path.removeprefix(folder).lstrip("/").partition("/")[0] if f"{path}/".startswith(f"{folder}/") else ""


def folders(paths: Iterable[str]) -> list[str]:
    return sorted({str(parent) for path in paths for parent in Path(path).parents if str(parent) != "."})


def test_no_module_needs_one_that_needs_it() -> None:
    assert circle(house()) == []


@pytest.mark.parametrize("folder", folders(house()))
def test_arrows_inside_a_folder_go_one_way(folder: str) -> None:
    assert circle(within(folder, house())) == []


@pytest.mark.parametrize(
    ("second", "found"),
    [
        ("from redrive.blocks.a import one", True),
        ("import redrive.blocks.a", True),
        ("class Two:\n    from redrive.blocks import a", True),
        ("def two():\n    from redrive.blocks.a import one", True),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from redrive.blocks.a import One", True),
        ("from redrive.blocks.c import one", False),
    ],
)
def test_circle_is_found_wherever_the_import_stands(second: str, *, found: bool) -> None:
    texts = {"blocks/a": "from redrive.blocks.b import two", "blocks/b": second, "blocks/c": ""}

    assert bool(circle(imports(texts))) is found


def test_circle_between_folders_is_found_though_no_module_has_one() -> None:
    graph = imports(
        {
            "blocks/a/one": "from redrive.blocks.b.two import two",
            "blocks/a/three": "",
            "blocks/b/two": "",
            "blocks/b/four": "def four():\n    from redrive.blocks.a import three",
        }
    )

    assert circle(graph) == []
    assert set(circle(within("blocks", graph))) == {"a", "b"}


def test_module_of_the_public_package_is_known_by_its_public_name() -> None:
    graph = imports(
        {
            f"{PUBLIC}/__init__": "from redrive import moved",
            f"{PUBLIC}/moved": "import redrive.blocks.a",
            "blocks/a": "",
        }
    )

    assert graph[f"{PUBLIC}/__init__"] == {f"{PUBLIC}/moved"}
    assert graph[f"{PUBLIC}/moved"] == {"blocks/a"}
