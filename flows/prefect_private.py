"""Everything in flows/ that touches what Prefect does not promise to keep; tests/unit/test_prefect_contract.py watches it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import State
from prefect.utilities.engine import propose_state_sync

from redrive.blocks.prefect_api import api


def propose(state: State[Any], run_id: UUID) -> State[Any]:
    """Propose a state for a run and return what the server made of it.

    Raises:
        prefect.exceptions.Abort: the server refuses, for instance because the run is being cancelled.
    """
    return propose_state_sync(api(), state, flow_run_id=run_id)
