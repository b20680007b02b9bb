"""The secrets of infra/compose, made once: `python infra/docker/secrets_folder.py FOLDER`. What is there stays.

The folder is open to its owner only; the files are readable, as the containers' account must read what is mounted from it. How one is
rotated: infra/compose/README.md.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path


def make(folder: Path) -> list[str]:
    """Make what is missing; the names of what was made."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    made: list[str] = []

    def secret(name: str, text: str) -> str:
        path = folder / name
        if not path.exists():
            path.write_text(text)
            made.append(name)
        return path.read_text().strip()

    database = secret("database-password", secrets.token_urlsafe(24))
    secret("database-url", f"postgresql://redrive:{database}@postgres:5432/redrive")
    redis = secrets.token_urlsafe(24)
    conf = f"requirepass {redis}\nappendonly yes\nmaxmemory 400mb\nmaxmemory-policy noeviction\ndir /data\n"
    redis = secret("redis-conf", conf).split()[1]
    secret("redis-url", f"redis://:{redis}@redis:6379/0")
    auth = secret("prefect-auth", f"redrive:{secrets.token_urlsafe(24)}")
    secret("prefect-password", auth.partition(":")[2])
    secret("grafana-password", secrets.token_urlsafe(18))
    return made


if __name__ == "__main__":
    made = make(Path(sys.argv[1]))
    sys.stdout.write(f"secrets made: {', '.join(made) or 'none, all are there'}\n")
