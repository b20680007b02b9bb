"""The folders' READMEs: each table of files names what is there, and all of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from redrive.blocks.core.exit_codes import ExitCode
from redrive.blocks.core.settings import Settings
from redrive.infra.cli.main import app
from tests.support.readme import blocks, section

ROOT = Path(__file__).resolve().parents[2]
#: Those of the folders at the top level and below.
OURS = sorted(
    path
    for top in ("blocks", "deployments", "flows", "infra", "dashboards", "tests")
    for path in (ROOT / top).rglob("README.md")
)
#: What no table need name.
LAPSED = {"README.md", "__init__.py", "__main__.py", "py.typed", "__pycache__", "conftest.py"}


def named(readme: Path) -> list[str]:
    """Files and folders in the first cells of its tables of files and folders."""
    found: list[str] = []
    for table in re.findall(r"^\| (?:File|Folder) \|.*\n\|[-| ]+\n((?:\|.*\n)+)", readme.read_text(), re.MULTILINE):
        for row in table.splitlines():
            found += re.findall(r"`([\w/]+(?:\.py|/))`", row.split("|")[1])
    return found


def kept(folder: Path) -> list[Path]:
    """Files of a folder that git has or would take: what a running installation made there is none of them."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=True).stdout.splitlines()
    return [Path(name) for name in listed if (folder / name).is_file()]


@pytest.mark.parametrize("readme", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_table_of_files_names_is_there(readme: Path) -> None:
    for name in named(readme):
        assert (readme.parent / name).exists(), f"{readme.relative_to(ROOT)} names {name}, which is not there"


@pytest.mark.parametrize(
    "folder", [readme.parent for readme in OURS if named(readme)], ids=lambda path: str(path.relative_to(ROOT))
)
def test_table_of_a_folder_names_all_code_that_is_in_it(folder: Path) -> None:
    listed = {name.rstrip("/") for name in named(folder / "README.md")}
    known = listed | {name.partition("/")[0] for name in listed}
    there = {path.parts[0] for path in kept(folder) if path.suffix == ".py" or path.parts[1:]}

    assert there - LAPSED <= known, f"{folder}/README.md does not name {sorted(there - LAPSED - known)}"


@pytest.mark.parametrize("readme", [ROOT / "README.md", *OURS], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(readme: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", readme.read_text()):
        assert (readme.parent / target).exists(), f"{readme.relative_to(ROOT)} links to {target}, which is not there"


def test_root_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


@pytest.mark.parametrize("readme", [ROOT / "README.md", *OURS], ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_of_a_readme_are_short(readme: Path) -> None:
    lines = readme.read_text().splitlines()

    # A row of a table, and a command with what it prints, are one line each.
    assert [line for line in lines if len(line) > 140 and not line.startswith(("|", "$"))] == []


def test_snippets_about_jobs_and_their_tests_run(tmp_path: Path) -> None:
    flows = ROOT / "flows" / "README.md"
    written = [
        block
        for title in ("Jobs and steps", "Tests of your own jobs")
        for block in blocks(section(title, flows), "python")
    ]
    program = tmp_path / "my_jobs.py"
    program.write_text("\n".join([*written, "test_greeting_completes()"]))

    done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_settings_in_the_reference_are_those_there_are() -> None:
    rows = cells("blocks/core/README.md", "Settings")
    ours = [
        f"REDRIVE_{name.upper()}"
        for name in Settings.model_fields
        if name not in {"external_api_url", "api_auth", "given"}
    ]

    listed = [name for row in rows for name in re.findall(r"`(REDRIVE_\w+)`", row[0])]
    assert sorted(listed) == sorted(ours)
    for row in rows:
        name = row[0].strip("` ").removeprefix("REDRIVE_").lower()
        default = Settings.model_fields[name].default if name in Settings.model_fields else None
        if isinstance(default, int | float) and not isinstance(default, bool):
            assert row[1].strip() == f"{default:g}", row[0]


def test_exit_codes_in_the_reference_are_those_there_are() -> None:
    rows = cells("infra/cli/README.md", "Exit codes")

    assert [(int(row[0]), row[1].strip("` ")) for row in rows] == [(code.value, code.name) for code in ExitCode]


def test_every_command_is_in_the_reference() -> None:
    text = " ".join(row[0] for row in cells("infra/cli/README.md", "Commands"))

    named = set(re.findall(r"`redrive ([a-z]+)", text))
    assert named == {name for name in app if not name.startswith("-")}


def cells(readme: str, title: str) -> list[list[str]]:
    """The rows of the table below a heading."""
    text = section(title, ROOT / readme)
    rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in text.splitlines() if line.startswith("|")]
    return rows[2:]


def test_tests_named_in_the_tests_readme_are_there() -> None:
    readme = ROOT / "tests" / "README.md"
    found = re.findall(r"`((?:unit|integration|e2e|chaos)/test_\w+\.py)(?:::(\w+))?", readme.read_text())

    assert found
    for file, name in found:
        assert (readme.parent / file).exists(), f"{file} is not there"
        assert f"def {name}" in (readme.parent / file).read_text(), f"{file} has no {name}"


@pytest.mark.parametrize("folder", ["flows", "tests"])
def test_tests_named_in_a_table_of_clauses_are_there(folder: str) -> None:
    sources = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    rows = table_rows(ROOT / folder / "README.md", last="Test")

    assert rows
    file = ""
    for row in rows:
        names = re.findall(r"`([^`]*)`", row.rpartition(" | ")[2])
        assert names or "the same" in row.rpartition(" | ")[2], f"no test is named for: {row}"
        for name in names:
            where, _, test = name.rpartition("::") if "::" in name else ("", "", name)
            if test.endswith(".py"):
                where, test = test, ""
            # `::test` is of the file that was named last.
            file = where.rpartition("/")[2] if where else file if name.startswith("::") else ""
            assert not file or file in sources, f"{file} is not there"
            wanted = re.escape(test).replace("…", r"\w+")
            text = sources[file] if file else "\n".join(sources.values())
            assert not test or re.search(rf"^(?:async )?def {wanted}\(", text, re.MULTILINE), f"{name} is not there"


def table_rows(readme: Path, *, last: str) -> list[str]:
    """Rows of its tables whose last column has that heading."""
    found: list[str] = []
    for table in re.findall(rf"^\|.*\| {last} \|\n\|[-| ]+\n((?:\|.*\n)+)", readme.read_text(), re.MULTILINE):
        found += (row.removesuffix(" |") for row in table.splitlines())
    return found
