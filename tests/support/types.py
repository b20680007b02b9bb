"""Type-checks the whole package: mypy sees the top-level folders as `redrive.*` through a folder of links."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

from mypy import api

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    links = ROOT / "build" / "types" / "redrive"
    links.mkdir(parents=True, exist_ok=True)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    for package, folder in settings["package-dir"].items():
        link = links / package.removeprefix("redrive.")
        if not link.is_symlink():
            link.symlink_to(ROOT / folder)
    os.environ["MYPYPATH"] = str(links.parent)
    packages = [argument for package in settings["package-dir"] for argument in ("-p", package)]
    out, err, code = api.run(
        ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache"), *packages]
    )
    sys.stdout.write(out)
    sys.stderr.write(err)
    return code


if __name__ == "__main__":
    sys.exit(main())
