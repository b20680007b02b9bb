"""The requirements of some extras, one a line, from pyproject.toml beside it: the images install them before the source.

Danger: no module of Redrive may be imported here; in the image's build there is none yet.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_OWN = re.compile(r"redrive\[([\w,-]+)\]")


def requirements(project: dict[str, Any], extras: list[str]) -> list[str]:
    """Of the project itself and these extras, those that extras name in turn included."""
    return sorted({*project["dependencies"], *_of(project, extras)})


def _of(project: dict[str, Any], extras: list[str]) -> Iterator[str]:
    for extra in extras:
        for requirement in project["optional-dependencies"][extra]:
            if own := _OWN.fullmatch(requirement):
                yield from _of(project, own[1].split(","))
            else:
                yield requirement


if __name__ == "__main__":
    here = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    sys.stdout.write("\n".join(requirements(here, sys.argv[1:])) + "\n")
