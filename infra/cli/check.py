"""`redrive check`: whether everything is as it should be for jobs to run.

Danger: it asks outside systems and may take as long as they do to answer.
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from redrive.blocks.core.exit_codes import ExitCode
from redrive.infra.cli.output import out, print_json


def check_command(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Check what jobs need: API, deployments, workers, ledger, keeper, exporter, console, warehouse, mail server.

    Exits 3 unless all is well.

    Args:
        as_json: Print JSON.
    """
    from redrive.deployments.health.check import check

    findings = []
    for finding in check():
        findings.append(finding)
        if not as_json:
            out.print(f"{'ok  ' if finding.well else 'BAD '} {finding.point:<14} {finding.said}", soft_wrap=True)
    if as_json:
        print_json(findings)
    return ExitCode.OK if all(finding.well for finding in findings) else ExitCode.UNHEALTHY
