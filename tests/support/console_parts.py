"""What tests of the console send and look at."""

from __future__ import annotations

from uuid import UUID

import httpx

from redrive.blocks.prefect import runs
from tests.support.console import token_of


def part(signed_in: httpx.Client) -> dict[str, str]:
    """What our script sends with an act."""
    return {"X-CSRF-Token": token_of(signed_in), "HX-Request": "true"}


def states(jobs: list[UUID]) -> list[str]:
    found = runs.by_id(jobs)
    return [found[job].state_name for job in jobs]
