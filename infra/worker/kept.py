"""What a job's process kept for the server's call that ends the job, sent for one that died before it could."""

from __future__ import annotations

from redrive.blocks.prefect.private import sending
from redrive.blocks.process.end_notes import EndNotes
from redrive.infra.worker.run_api import Json, RunApi
from redrive.infra.worker.worker_attempt import WorkerAttempt


async def send_kept(api: RunApi, attempt: WorkerAttempt) -> None:
    """Send how the job ended, if its process had come to that; else the engine's first update and the events of task runs.

    Raises:
        httpx.HTTPError: the API is unavailable; sending again does no harm.
    """
    noted = await _send_end(api, attempt)
    if noted is None:
        for kept in attempt.kept:
            if update := kept.get("update"):
                await api.update(attempt.run_id, update)
    told = {event["id"] for event in noted["task_events"]} if noted else set()
    for event in [kept["event"] for kept in attempt.kept if "event" in kept]:
        if event["id"] not in told:
            sending.send_event(event)
    attempt.kept.clear()


async def _send_end(api: RunApi, attempt: WorkerAttempt) -> Json | None:
    """The end that a run's process noted before it died, if the run is there now."""
    ends = EndNotes.here()
    if ends is None or attempt.running is None:
        return None
    noted = ends.find(attempt.run_id, str(attempt.running["id"]))
    ended = noted is not None and await api.finish(noted)
    ends.forget(attempt.run_id)
    if not ended:
        return None
    attempt.log.info("job %s had ended when its process died: its end was reported for it", attempt.run_id)
    return noted
