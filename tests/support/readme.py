"""The README as a script: its walks are read from it, run, and compared with what it says comes out.

Names and numbers differ from run to run: an id, a run's name or a time in the text stands for whatever came out in its place; where
it comes up again, it must be the same one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
#: What stands for something, by kind: the surest first.
_KINDS = (
    ("uuid", re.compile(_UUID), _UUID),
    ("time", re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"), r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"),
    ("cause", re.compile(r"\b[0-9a-f]{12}\b"), r"[0-9a-f]{12}"),
    ("id", re.compile(r"\b(?=\w*\d)[0-9a-f]{8}\b"), r"[0-9a-f]{8,12}"),
    ("name", re.compile(r"(?<=job )[a-z]+-[a-z]+(?= )"), r"[a-z]+-[a-z]+"),
    ("actor", re.compile(r"\bada\b(?=:)"), r"\S+"),
    ("port", re.compile(r"(?<=:)\d{4,5}\b"), r"\d{2,5}"),
    ("number", re.compile(r"\d+(?:\.\d+)?(?= s\b)"), r"\d+(?:\.\d+)?"),
    ("rest", re.compile("…"), r".*?"),
)
#: Kinds that must come out the same where the text has the same.
_SAME = {"uuid", "cause", "id"}


def section(title: str, readme: Path = README) -> str:
    """The text below a heading, up to the next of its level or a higher one."""
    text = readme.read_text()
    (start,) = re.finditer(rf"^(#+) {re.escape(title)}.*\n", text, re.MULTILINE)
    end = re.compile(rf"^#{{1,{len(start[1])}}} ", re.MULTILINE).search(text, start.end())
    return text[start.end() : end.start() if end else None]


def blocks(text: str, language: str = "") -> list[str]:
    """Its code blocks of one language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for written_in, block in found if written_in == language]


@dataclass(frozen=True)
class Command:
    """What somebody types, and what the text says comes out."""

    line: str
    output: str


def commands(text: str) -> list[Command]:
    """Every command after a `$ ` in its code blocks."""
    found = []
    for block in blocks(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            found.append(Command(line, output))
    return found


def steps(text: str) -> dict[int, str]:
    """Its numbered steps."""
    parts = re.split(r"^(\d+)\. ", text, flags=re.MULTILINE)[1:]
    return {int(number): body.split("\n\n")[0] for number, body in zip(parts[::2], parts[1::2], strict=True)}


def typed(step: str) -> str:
    """The command a step tells to type."""
    (line,) = re.findall(r"`((?:redrive|cp) [^`]+)`", step)
    return str(line)


def controls(text: str) -> list[str]:
    """What a text tells to press or look at, in order."""
    return re.findall(r"\*([^*\n]+)\*", text)


def pressed(text: str, version: str) -> dict[str, list[str]]:
    """The table of what to press in one version of the UI: for each purpose, the controls in order."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    (head,) = (row for row in rows if row[0].strip() == "What to press")
    column = [cell.strip() for cell in head].index(f"in {version}")
    return {row[0].strip(): controls(row[column]) for row in rows if row[0].strip().startswith("to ")}


@dataclass
class Meaning:
    """What the text's ids turned out to be."""

    known: dict[str, str] = field(default_factory=dict)

    def meant(self, line: str) -> str:
        """A command with what its ids stand for."""
        for said, is_really in self.known.items():
            line = line.replace(said, is_really)
        return line

    def fits(self, said: str, came: str) -> bool:
        """Whether what came out is what the text says; if so, what its ids stand for is known from now on."""
        names: list[tuple[str, str]] = []
        pattern = self._pattern(" ".join(said.split()), names)
        found = re.search(pattern, " ".join(came.replace("─", " ").split()))  # without the rules of tables
        if found is None:
            return False
        self.known |= {token: found[group] for group, token in names}
        return True

    def _pattern(self, said: str, names: list[tuple[str, str]]) -> str:
        for kind, sign, shape in _KINDS:
            if match := sign.search(said):
                token = match[0]
                before, after = said[: match.start()], said[match.end() :]
                if kind not in _SAME:
                    middle = shape
                elif token in self.known:
                    middle = re.escape(self.known[token])
                elif earlier := next((group for group, name in names if name == token), None):
                    middle = f"(?P={earlier})"
                else:
                    names.append((group := f"g{len(names)}", token))
                    middle = f"(?P<{group}>{shape})"
                # In order, so that a name stands before what refers to it.
                return self._pattern(before, names) + middle + self._pattern(after, names)
        return re.escape(said).replace(r"\ ", r"\s*")
