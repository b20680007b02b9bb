"""`python -m redrive.dashboards.alerts`: make the rules file from the thresholds."""

from __future__ import annotations

import sys
from pathlib import Path

from cyclopts import App

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.exit_codes import exit_code_of
from redrive.dashboards.alerts.rules import document
from redrive.dashboards.alerts.thresholds import FILE, Thresholds

app = App(name="python -m redrive.dashboards.alerts", help="Make the alert rules for Prometheus.")


@app.default
def write(*, thresholds: Path = FILE, rules: Path | None = None) -> None:
    """Write the rules file.

    Args:
        thresholds: The thresholds; without it, Redrive's own.
        rules: The file to write; without it, `rules.yaml` beside the thresholds.
    """
    target = rules or thresholds.with_name("rules.yaml")
    target.write_text(document(Thresholds.read(thresholds)))
    sys.stderr.write(f"wrote {target}\n")


if __name__ == "__main__":
    try:
        app()
    except RedriveError as error:
        sys.stderr.write(f"redrive: {error}\n")
        sys.exit(exit_code_of(error))
