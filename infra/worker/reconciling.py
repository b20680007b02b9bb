"""At every heartbeat: runs that carry this worker's name and that it does not have are reported, so that they are not waited for;
those that it has and that do not carry its name are signed again.

How a job ended can be lost on its way, for instance when the API was unavailable for long and a slot failed meanwhile.

Danger: a run that was claimed just now carries the name before its slot is seen to hold it. Only what was so twice in a row, in the
same state, is reported, and only if it is in that state still.
"""

from __future__ import annotations

from redrive.blocks.prefect.labels import ATTEMPT, WORKER
from redrive.infra.worker.attempts import Attempts
from redrive.infra.worker.conclusion import IN_PROGRESS
from redrive.infra.worker.log import Log
from redrive.infra.worker.run_api import Json, RunApi


class Reconciling:
    """Compares what the API says of one worker with what it has."""

    def __init__(self, api: RunApi, attempts: Attempts, log: Log, *, pool: str, name: str) -> None:
        self._api = api
        self._attempts = attempts
        self._log = log
        self._pool = pool
        self._name = name
        self._suspects: dict[str, str] = {}

    async def compare(self) -> None:
        """Raises `httpx.HTTPError` when the API is unavailable."""
        found = await self._api.in_progress(self._pool, IN_PROGRESS)
        mine = [run for run in found if run.get("labels", {}).get(WORKER) == self._name]
        strays = {run["id"]: run for run in mine if not self._attempts.holds(run["id"])}
        for run_id, run in strays.items():
            if self._suspects.get(run_id) == run["state"]["id"]:
                await self._report(run)
        unsigned = {run["id"]: run for run in found if self._is_unsigned(run)}
        for run_id, run in unsigned.items():
            if self._suspects.get(run_id) == run["state"]["id"]:
                await self._sign_again(run)
        self._suspects = {run_id: run["state"]["id"] for run_id, run in (strays | unsigned).items()}

    def _is_unsigned(self, run: Json) -> bool:
        """Whether this worker has a run that does not say so: somebody who wanted to start it again took the name off and then
        met that it had started.
        """
        attempt = self._attempts.of(run["id"])
        labels = run.get("labels", {})
        return attempt is not None and (labels.get(WORKER), labels.get(ATTEMPT)) != (self._name, attempt.claim)

    async def _sign_again(self, run: Json) -> None:
        attempt = self._attempts.of(run["id"])
        if attempt is not None and await self._api.latest_claim(run["id"]) == attempt.claim:
            self._log.warning("job %s did not carry the name of this worker, which has it: signed again", run["id"])
            await self._api.label(run["id"], {WORKER: self._name, ATTEMPT: attempt.claim})

    async def _report(self, run: Json) -> None:
        now = await self._api.read(run["id"])
        if now is None or now["state"]["id"] != run["state"]["id"] or self._attempts.holds(run["id"]):
            return
        kind = now["state_type"]
        self._log.warning("job %s carries this worker's name and has no process here: reported", run["id"])
        state: Json = {"type": "CRASHED", "name": "Crashed"}
        if kind == "CANCELLING":
            state = {"type": "CANCELLED", "name": "Cancelled"}
        message = f"worker {self._name}: it has no process of this job any more"
        await self._api.transition(
            run["id"],
            {**state, "message": message},
            only_from=[kind],
            state_id=now["state"]["id"],
            force=kind == "CANCELLING",
        )
