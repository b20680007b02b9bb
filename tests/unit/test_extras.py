"""What is installed: each package that the code imports is declared, and what is missing is named with what brings it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from redrive.blocks.core.extras import SIGNS, is_missing, what_to_install

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

#: Whoever asks for jobs with nothing but the client.
CLIENT = """
import importlib.abc, sys
class Without(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Without())
"""


#: Brought by httpx and pydantic themselves.
WITH_THE_CLIENT = {"httpcore", "certifi", "idna", "anyio", "sniffio", "pydantic_core"}


def packages(extra: str | None) -> set[str]:
    """Normalised names of what an extra brings, those of the extras that it names included."""
    listed = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    found = set() if extra is None else packages(None)
    for line in listed:
        if inner := re.match(r"redrive\[([\w,]+)\]", line):
            found = found.union(*(packages(name) for name in inner[1].split(",")))
        else:
            found.add(normal(re.split(r"[\s\[<>=!;]", line)[0]))
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def imported() -> dict[str, str]:
    """Top-level modules that the code imports, with a file that does."""
    found = {}
    for top in ("blocks", "deployments", "flows", "infra", "dashboards"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
                # A script finds what lies beside it.
                names = [name for name in names if not path.with_name(f"{name}.py").exists()]
                found |= {name.partition(".")[0]: str(path.relative_to(ROOT)) for name in names}
    return {name: file for name, file in found.items() if name not in {*sys.stdlib_module_names, "redrive"}}


def test_every_package_that_is_imported_is_declared() -> None:
    brought, homes = packages("all"), packages_distributions()
    #: Prefect's own, of the version that is pinned; and what only writes the dashboards' files.
    others = {"asyncpg", "docket", "pendulum", "starlette", "grafana_foundation_sdk", "asgi_lifespan"} | WITH_THE_CLIENT
    missing = {
        name: file
        for name, file in imported().items()
        if name not in others and not {normal(one) for one in homes.get(name, ())} & brought
    }
    assert missing == {}


@pytest.mark.parametrize("extra", SIGNS)
def test_sign_of_an_extra_is_its_own(extra: str) -> None:
    distributions = {normal(name) for name in packages_distributions()[SIGNS[extra]]}

    assert distributions <= packages(extra)
    assert not distributions & packages(None)
    assert not is_missing(extra)


def test_what_is_no_extra_is_never_missing() -> None:
    assert not is_missing("greet")


#: Of no extra: what jobs of one's own use most.
OF_ALL_ALONE = {"pandas"}


def test_all_brings_every_extra_and_the_tests_bring_all() -> None:
    every_extra = set().union(*(packages(extra) for extra in ("client", *SIGNS)))
    assert packages("all") - every_extra == OF_ALL_ALONE
    assert every_extra <= packages("all")
    assert packages("all") <= packages("dev")


def test_module_that_no_extra_brings_is_nobodys_advice() -> None:
    assert what_to_install(ModuleNotFoundError(name="my_package"), "this") is None


def test_client_asks_for_jobs_and_is_told_what_the_rest_needs() -> None:
    missing = {
        name
        for name in imported()
        if not {normal(one) for one in packages_distributions().get(name, ())} & packages(None)
    }
    program = CLIENT.format(missing=missing - WITH_THE_CLIENT) + (
        "import os, redrive\n"
        "os.environ['PREFECT_API_URL'] = 'http://127.0.0.1:1/api'\n"
        "for asked in (lambda: redrive.enqueue('greet'), lambda: redrive.job):\n"
        "    try: asked()\n"
        "    except (redrive.RedriveError, ImportError) as error: print(error)\n"
        "import sys; sys.argv = ['redrive', 'dead', 'list']\n"
        "import redrive.infra.cli.main as cli; cli.main()\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    unanswered, needs = done.stdout.splitlines()
    assert "does not answer" in unanswered
    assert needs == "redrive.job needs prefect, which is not installed: pip install 'redrive[worker]'"
    assert re.search(r"needs \w+, which is not installed: pip install 'redrive\[worker\]'", done.stderr)
    assert done.returncode == 1
