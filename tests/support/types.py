"""Type-checks the whole package: mypy sees the top-level folders as `redrive.*` through a folder of links.

And what mypy must say of code that uses it: `tests/typing`, whose wrong calls carry the error that is expected; one that mypy lets
pass is an error itself, an ignore that is not used.
"""

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
    usage = links.parent / "redrive_usage"
    if not usage.is_symlink():
        usage.symlink_to(ROOT / "tests" / "typing")
    os.environ["MYPYPATH"] = str(links.parent)
    out, err, code = api.run(
        [
            *("--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")),
            *("-p", "redrive", "-p", "redrive_usage"),
        ]
    )
    sys.stdout.write(out)
    sys.stderr.write(err)
    return code


if __name__ == "__main__":
    sys.exit(main())
