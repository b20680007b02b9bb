"""What Prefect is asked stands once: routes and private names of Prefect's are nowhere but in the gateway."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.blocks.core import Block

from redrive.blocks.prefect import labels, states

ROOT = Path(__file__).resolve().parents[2]
ROUTES, PRIVATE = ROOT / "blocks/prefect/requests", ROOT / "blocks/prefect/private"
TOPS = ("blocks", "deployments", "flows", "infra", "dashboards")
#: What routes of Prefect's API begin with.
NOUNS = (
    "admin artifacts automations block_documents block_schemas block_types collections concurrency_limits csrf-token deployments "
    "events flow_run_states flow_runs flows health logs ready saved_searches task_run_states task_runs variables version "
    "work_pools work_queues redrive"
)
ROUTE = re.compile(rf"/(?:{'|'.join(NOUNS.split())})(?:/|$)")
#: Pages of Prefect's UI and of our own exporter, which are no routes of the API.
NO_ROUTES = {
    ("dashboards/console/pages/job.py", "/jobs/{job_id}/redrive"): "an act on a page of the console",
    ("dashboards/console/live/poller.py", "/health"): "the exporter is asked",
    ("dashboards/exporter/server.py", "/health"): "the exporter answers it itself",
    ("deployments/health/check.py", "/health"): "the exporter is asked",
    ("infra/local/components/exporter.py", "/health"): "the exporter is asked",
    ("infra/docker/roles.py", "/health"): "a worker says itself how it is",
    ("infra/docker/roles.py", "http://127.0.0.1:{metrics_port}/health"): "the exporter is asked",
    (
        "infra/docker/roles.py",
        "http://127.0.0.1:{prefect_port}/api/ready",
    ): "the health check of a container, without a client",
    ("infra/docker/roles.py", "/var/lib/redrive/results"): "a folder",
    ("infra/docker/secrets_folder.py", "@postgres:5432/redrive"): "a database",
    ("dashboards/grafana/dead_letters.py", "/deployments"): "a page of Prefect's UI",
    ("dashboards/grafana/one_job_type.py", "/deployments"): "a page of Prefect's UI",
}
#: Where `DeadLetter` is a class.
CLASSES = {"deployments/dead_letters/ledger/__init__.py"}
#: Private by name, and Prefect's documented way to describe a block.
DOCUMENTED = {"_block_type_name", "_block_type_slug", "_description", "_documentation_url", "_logo_url"}


def modules() -> Iterator[Path]:
    for top in TOPS:
        yield from sorted((ROOT / top).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def texts(path: Path) -> Iterator[str]:
    """Every text of a module that is no docstring."""
    tree = ast.parse(path.read_text())
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def routes(path: Path) -> list[str]:
    return [text for text in texts(path) if ROUTE.search(text) and (name(path), text) not in NO_ROUTES]


def test_routes_stand_in_the_gateway_only() -> None:
    outside = {name(path): found for path in modules() if path.parent != ROUTES and (found := routes(path))}

    assert not outside, f"describe these requests in {name(ROUTES)}: {outside}"


def test_every_request_is_found_by_the_search_for_routes() -> None:
    """Lest the test above looks for what nobody writes: each module of requests has a route that it would find."""
    blind = [name(path) for path in sorted(ROUTES.glob("*.py")) if path.stem != "__init__" and not routes(path)]

    assert not blind


def test_names_of_labels_and_states_stand_in_the_gateway_only() -> None:
    named = {value: one for one, value in vars(labels).items() if one.isupper() and isinstance(value, str)}
    named |= {value: value for value in (states.AWAITING_RETRY, states.DEAD_LETTER, states.RESUMING)}

    outside = {
        name(path): found
        for path in modules()
        if not path.is_relative_to(ROOT / "blocks/prefect")
        and (found := [text for text in texts(path) if text in named])
        and name(path) not in CLASSES
    }

    assert not outside, f"use the names of blocks/prefect/labels.py and states.py: {outside}"


def private_names_of(cls: type) -> set[str]:
    """The private names that Prefect's own classes among a class's bases define or set on themselves."""
    found: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] != "prefect":
            continue
        for node in ast.walk(ast.parse(inspect.getsource(inspect.getmodule(base) or base))):
            if isinstance(node, ast.ClassDef) and node.name == base.__name__:
                found |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute) and _is_self(part)}
                found |= {part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}
                targets = [part.targets for part in node.body if isinstance(part, ast.Assign)]
                found |= {one.id for many in targets for one in many if isinstance(one, ast.Name)}
    return {one for one in found if one.startswith("_") and not one.startswith("__")}


def _is_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}


def used_names(cls: ast.ClassDef) -> set[str]:
    """The private names that a class of ours uses on itself, or defines."""
    used = {part.attr for part in ast.walk(cls) if isinstance(part, ast.Attribute) and _is_self(part)}
    used |= {part.name for part in ast.walk(cls) if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}
    used |= {
        one.id for part in cls.body if isinstance(part, ast.Assign) for one in part.targets if isinstance(one, ast.Name)
    }
    return used


def classes_over_prefects() -> list[tuple[Path, str]]:
    """Our classes with a base that is imported from Prefect, or from the gateway's private part."""
    found = []
    for path in modules():
        tree = ast.parse(path.read_text())
        theirs = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            and str(node.module).startswith(("prefect", "redrive.blocks.prefect.private"))
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases = {part.id for base in node.bases for part in ast.walk(base) if isinstance(part, ast.Name)}
                if bases & theirs and path.parent != PRIVATE:
                    found.append((path, node.name))
    return found


@pytest.mark.parametrize(
    ("path", "cls"), [pytest.param(*one, id=f"{name(one[0])}:{one[1]}") for one in classes_over_prefects()]
)
def test_our_classes_use_no_private_name_of_prefects(path: Path, cls: str) -> None:
    module = importlib.import_module("redrive." + ".".join(path.relative_to(ROOT).with_suffix("").parts))
    (node,) = (
        one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.ClassDef) and one.name == cls
    )

    found = getattr(module, cls)
    shared = used_names(node) & private_names_of(found)
    if issubclass(found, Block):
        shared -= DOCUMENTED

    assert not shared, (
        f"{name(path)}: {cls} uses {sorted(shared)} of Prefect's; give them public names in {name(PRIVATE)}"
    )


def test_the_private_names_of_prefects_worker_are_known() -> None:
    from redrive.infra.worker.warm_worker import WarmWorker

    assert {"_work_pool", "_limit", "_logger", "_last_polled_time", "_setup_cancellation_observer"} <= private_names_of(
        WarmWorker
    )


def imported_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_private_module_or_name_of_prefects_is_imported_elsewhere() -> None:
    for path in modules():
        parts = [one.split(".") for one in imported_names(path) if one.partition(".")[0] == "prefect"]
        private = [".".join(one) for one in parts if any(part.startswith("_") for part in one)]

        assert path.parent == PRIVATE or not private, (
            f"{name(path)} imports {private}; that belongs into {name(PRIVATE)}"
        )
