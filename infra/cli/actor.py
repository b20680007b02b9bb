"""Who acts: the name that a history keeps, and the record of what they did.

Danger: a claim, no proof; whoever reaches Prefect's API can act anyway.
"""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from redrive.blocks.core.errors import LedgerUnavailable
from redrive.blocks.core.extras import what_to_install
from redrive.blocks.core.settings import settings
from redrive.infra.cli.output import err

if TYPE_CHECKING:
    from redrive.deployments.people.actor import Actor

Who = Annotated[str | None, Parameter(name=["--who", "--actor"])]


def actor(given: str | None) -> str:
    """The name given, else `REDRIVE_ACTOR`, else the user of the system."""
    if name := given or settings().actor:
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that nobody named.
        return f"uid {os.getuid()}"


def acting(given: str | None, why: str = "") -> Actor:
    """The person, whose acts stand in the console's record too."""
    from redrive.deployments.people.actor import Actor

    return Actor(record=_Record(), who=actor(given), why=why, unwritten=_unwritten)


class _Record:
    """The record, reached when there is something to write."""

    def record(self, *, who: str, what: str, about: str, why: str, outcome: str) -> None:
        try:
            from redrive.deployments.people.people import People
        except ImportError as error:
            # The client alone: what was done is done, with nobody to tell.
            if (advice := what_to_install(error, "the record")) is None:
                raise
            raise LedgerUnavailable(advice) from None
        with People(settings().ledger_url()) as people:
            people.migrate()
            people.record(who=who, what=what, about=about, why=why, outcome=outcome)


def _unwritten(away: LedgerUnavailable) -> None:
    err.print(f"redrive: who did it and why was not written down: {away}", soft_wrap=True)
