"""What a job's process kept for the server's call that ends the job, sent for one that died before it could."""

from __future__ import annotations

from redrive.blocks.prefect.private import sending
from redrive.infra.worker.attempt import Attempt
from redrive.infra.worker.run_api import RunApi


async def send_kept(api: RunApi, attempt: Attempt) -> None:
    """Send the engine's first update and the events of task runs; nothing if all of it was sent.

    Raises:
        httpx.HTTPError: the API is unavailable; sending again does no harm.
    """
    for kept in attempt.kept:
        if update := kept.get("update"):
            await api.update(attempt.run_id, update)
    for event in [kept["event"] for kept in attempt.kept if "event" in kept]:
        sending.send_event(event)
    attempt.kept.clear()
