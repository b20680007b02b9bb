"""The secrets of infra/compose, made once: `python infra/docker/secrets_folder.py FOLDER`. What is there stays.

The folder is open to its owner only; the files are readable, as the containers' account must read what is mounted from it. `rotate.py`
beside this file puts new ones in their places.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

#: What can be had anew, and the files that hold it.
KINDS = {
    "database": ("database-password", "database-url"),
    "redis": ("redis-conf", "redis-url", "redis-url-tls"),
    "prefect": ("prefect-auth", "prefect-password"),
    "grafana": ("grafana-password",),
}


def texts(kind: str, password: str) -> dict[str, str]:
    """The files of one secret, by name."""
    match kind:
        case "database":
            return {
                "database-password": password,
                "database-url": f"postgresql://redrive:{password}@postgres:5432/redrive",
            }
        case "redis":
            conf = f"requirepass {password}\nappendonly yes\nmaxmemory 400mb\nmaxmemory-policy noeviction\ndir /data\n"
            place = f":{password}@redis:6379/0"
            return {"redis-conf": conf, "redis-url": f"redis://{place}", "redis-url-tls": f"rediss://{place}"}
        case "prefect":
            return {"prefect-auth": f"redrive:{password}", "prefect-password": password}
        case _:
            return {"grafana-password": password}


def password_of(folder: Path, kind: str) -> str:
    """The one that is in use."""
    first = (folder / KINDS[kind][0]).read_text()
    return first.split()[1] if kind == "redis" else first.strip().rpartition(":")[2]


def new_password() -> str:
    return secrets.token_urlsafe(24)


def write(folder: Path, kind: str, password: str) -> None:
    """Into the files that are there, which containers have mounted: each sees it at its next start."""
    for name, text in texts(kind, password).items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)


def make(folder: Path) -> list[str]:
    """Make what is missing; the names of what was made."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    made: list[str] = []
    for kind, names in KINDS.items():
        missing = [name for name in names if not (folder / name).exists()]
        if not missing:
            continue
        # A file that came with a later version is made of the password that is in use.
        there = (folder / names[0]).exists()
        text = texts(kind, password_of(folder, kind) if there else new_password())
        for name in missing:
            (folder / name).write_text(text[name])
            (folder / name).chmod(0o644)
        made += missing
    return made


if __name__ == "__main__":
    made = make(Path(sys.argv[1]))
    sys.stdout.write(f"secrets made: {', '.join(made) or 'none, all are there'}\n")
