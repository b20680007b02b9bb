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
    homes = settings["package-dir"]
    parts = {
        package.removeprefix("redrive."): ROOT / folder for package, folder in homes.items() if package != "redrive"
    }
    parts.update({file.name: file for file in (ROOT / homes["redrive"]).glob("*.py")})
    for old in links.iterdir():
        if not old.exists():
            old.unlink()
    for name, target in parts.items():
        if not (links / name).is_symlink():
            (links / name).symlink_to(target)
    os.environ["MYPYPATH"] = str(links.parent)
    out, err, code = api.run(
        ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache"), "-p", "redrive"]
    )
    sys.stdout.write(out)
    sys.stderr.write(err)
    return code


if __name__ == "__main__":
    sys.exit(main())
