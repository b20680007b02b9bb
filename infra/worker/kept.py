"""What a job's process kept for the server's call that ends the job, sent for one that died before it could."""

from __future__ import annotations

from redrive.blocks.prefect.private import sending
from redrive.blocks.process.end_notes import EndNotes
from redrive.infra.worker.run_api import RunApi
from redrive.infra.worker.worker_attempt import WorkerAttempt


async def send_kept(api: RunApi, attempt: WorkerAttempt) -> None:
    """Send how the job ended, if its process had come to that; else the engine's first update and the events of task runs.

    Raises:
        httpx.HTTPError: the API is unavailable; sending again does no harm.
    """
    if await _send_end(api, attempt):
        return
    for kept in attempt.kept:
        if update := kept.get("update"):
            await api.update(attempt.run_id, update)
    for event in [kept["event"] for kept in attempt.kept if "event" in kept]:
        sending.send_event(event)
    attempt.kept.clear()


async def _send_end(api: RunApi, attempt: WorkerAttempt) -> bool:
    """Whether the run is at the end that its process noted before it died."""
    ends = EndNotes.here()
    if ends is None or attempt.running is None:
        return False
    noted = ends.find(attempt.run_id, str(attempt.running["id"]))
    ended = noted is not None and await api.finish(noted)
    ends.forget(attempt.run_id)
    if ended:
        attempt.log.info("job %s had ended when its process died: its end was reported for it", attempt.run_id)
    return ended
