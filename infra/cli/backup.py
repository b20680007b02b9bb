"""`redrive backup` and `redrive restore`.

Exit codes: see `redrive.blocks.core.exit_codes`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.exit_codes import ExitCode
from redrive.blocks.core.settings import settings
from redrive.infra.cli.output import out, print_json


def backup_command(
    into: Path | None = None,
    *,
    keep: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Save the ledger, Prefect's database, the warehouse and the results, all of one moment, while jobs run.

    Args:
        into: Folder in which the backup gets a folder of its own. Default: REDRIVE_BACKUPS.
        keep: Then take away all but so many backups there; 0 keeps all.
        as_json: Print JSON.
    """
    from redrive.infra.backup.backup import back_up, prune
    from redrive.infra.backup.manifest import Manifest

    place = into or settings().backups
    if place is None:
        raise RedriveError("name a folder, or set REDRIVE_BACKUPS: `redrive backup /var/backups/redrive`")
    folder = back_up(settings(), place.expanduser().absolute(), (lambda _: None) if as_json else out.print)
    gone = prune(folder.parent, keep)
    manifest = Manifest.read(folder)
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "at": manifest.at,
                "left_out": manifest.left_out,
                "removed": [str(one) for one in gone],
            }
        )
        return ExitCode.OK
    for what, why in manifest.left_out.items():
        out.print(f"without {what}: {why}", soft_wrap=True)
    out.print(f"{folder} holds everything as of {manifest.at:%Y-%m-%d %H:%M:%S}Z", soft_wrap=True)
    return ExitCode.OK


def restore_command(folder: Path, *, replace: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Bring the databases and results back as they were in a backup. Stop workers and keepers first.

    Args:
        folder: Of the backup.
        replace: Also where there are databases with something in them; those are kept under another name.
    """
    from redrive.infra.backup.restore import restore

    kept = restore(settings(), folder.expanduser().absolute(), out.print, replace=replace)
    for name in kept:
        out.print(f"what was there before is database {name}: drop it when you are sure", soft_wrap=True)
    out.print("restored; `redrive up` (or a restart of the servers) goes on with it", soft_wrap=True)
    return ExitCode.OK
