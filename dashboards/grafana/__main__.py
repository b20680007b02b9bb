"""`python -m redrive.dashboards.grafana`: make the dashboards' JSON. Needs Redrive's extra `dev` (grafana-foundation-sdk)."""

from __future__ import annotations

import sys
from pathlib import Path

from redrive.dashboards.grafana.pages import PAGES

FOLDER = Path(__file__).with_name("json")


def main() -> None:
    """Write every dashboard, and take away what is none any more."""
    FOLDER.mkdir(exist_ok=True)
    wanted = {FOLDER / f"{page.uid}.json": page.text() for page in PAGES}
    for old in set(FOLDER.glob("*.json")) - wanted.keys():
        old.unlink()
    for path, text in wanted.items():
        path.write_text(text)
        sys.stderr.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
