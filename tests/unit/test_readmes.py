"""The folders' READMEs: each table of files names what is there, and all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Those of the folders at the top level and below.
OURS = sorted(
    path
    for top in ("blocks", "deployments", "flows", "infra", "dashboards", "tests")
    for path in (ROOT / top).rglob("README.md")
)
#: READMEs whose first table lists their whole folder.
WHOLE = ["blocks", "deployments", "flows"]
#: What no table need name.
SILENT = {"README.md", "__init__.py", "py.typed", "__pycache__"}


def named(readme: Path) -> list[str]:
    """Files and folders in the first cells of its tables of files."""
    found: list[str] = []
    for table in re.findall(r"^\| File \|.*\n\|[-| ]+\n((?:\|.*\n)+)", readme.read_text(), re.MULTILINE):
        for row in table.splitlines():
            found += re.findall(r"`([\w/]+(?:\.py|/))`", row.split("|")[1])
    return found


@pytest.mark.parametrize("readme", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_table_of_files_names_is_there(readme: Path) -> None:
    for name in named(readme):
        assert (readme.parent / name).exists(), f"{readme.relative_to(ROOT)} names {name}, which is not there"


@pytest.mark.parametrize("folder", WHOLE)
def test_table_of_a_folder_names_all_that_is_in_it(folder: str) -> None:
    listed = {name.rstrip("/") for name in named(ROOT / folder / "README.md")}
    files = [path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*") if path.is_file()]
    # What Python compiled may outlive a folder.
    there = {path.parts[0] for path in files if path.suffix != ".pyc"} - SILENT

    assert there <= listed, f"{folder}/README.md does not name {sorted(there - listed)}"


@pytest.mark.parametrize("readme", [ROOT / "README.md", *OURS], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(readme: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", readme.read_text()):
        assert (readme.parent / target).exists(), f"{readme.relative_to(ROOT)} links to {target}, which is not there"


def test_tests_named_in_the_tests_readme_are_there() -> None:
    readme = ROOT / "tests" / "README.md"
    found = re.findall(r"`((?:unit|integration|e2e|chaos)/test_\w+\.py)(?:::(\w+))?", readme.read_text())

    assert found
    for file, name in found:
        assert (readme.parent / file).exists(), f"{file} is not there"
        assert f"def {name}" in (readme.parent / file).read_text(), f"{file} has no {name}"
