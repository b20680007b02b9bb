"""Commands in the READMEs, in sentences as in blocks, are those there are: the command line takes them, make has the target."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError, MissingArgumentError

from redrive.infra.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
#: Where a sentence only names the command, a value stands for none in particular, or the rest is left out.
SHORTENED = re.compile(r"[…|]|\.\.\.| \[[A-Z-]| <| (?:COMMAND|K=V)\b")
#: Placeholders whose value has a form of its own.
EXAMPLES = {"N": "5", "TIME": "2030-01-01T07:00", "N/s": "5/s", "PID": "1", "MODULE": "my_jobs", "S": "5"}


def readmes() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    return [ROOT / name for name in listed.stdout.split() if name != "CHANGELOG.md"]


def written(program: str) -> Iterator[tuple[Path, str]]:
    """Where a command is written down, and the command: each in code, or a line of a block of the shell."""
    for readme in readmes():
        text = readme.read_text()
        shell = re.findall(r"^```(?:sh|bash|shell|console)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        lines = [line for block in shell for line in whole(block)]
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        lines += [" ".join(found.split()) for found in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]
        for line in lines:
            if line.startswith(f"{program} "):
                yield readme, re.split(r"\s+#\s|\s*&&|\s*; ", line)[0].strip()


def whole(block: str) -> Iterator[str]:
    """The lines of a block, what is quoted over several in one."""
    begun = ""
    for line in block.replace("\\\n", "").splitlines():
        begun = f"{begun}{line}".removeprefix("$ ")
        if not is_open(begun):
            yield begun
            begun = ""


def is_open(line: str) -> bool:
    """Whether it is a command with a quotation that does not end; a line of what comes out may hold an apostrophe."""
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return line.startswith("redrive ")
    return False


def tokens(line: str) -> list[str]:
    return [EXAMPLES.get(token, token) for token in shlex.split(line)[1:]]


REDRIVE = sorted(
    {(str(path.relative_to(ROOT)), line) for path, line in written("redrive") if not SHORTENED.search(line)}
)


@pytest.mark.parametrize(("readme", "line"), REDRIVE)
def test_command_line_takes_what_a_readme_types(readme: str, line: str) -> None:
    try:
        app.parse_args(tokens(line), exit_on_error=False, print_error=False)
    except MissingArgumentError:
        # A sentence that is about the command and types none.
        assert "--" not in line
    except CycloptsError as error:
        pytest.fail(f"{readme}: {line}: {error}")


def test_make_has_the_targets_that_readmes_name() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for _, line in written("make") for target in re.findall(r"^make ([a-z-]+)", line)}

    assert len(named) > 5
    assert named <= targets


def test_misspelt_option_in_a_readme_would_be_found() -> None:
    with pytest.raises(CycloptsError):
        app.parse_args(tokens("redrive dead redrive --finger X"), exit_on_error=False, print_error=False)
