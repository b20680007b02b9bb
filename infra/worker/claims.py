"""Taking a run: what it needs is known before, then it is claimed and signed, so that everybody knows who has it.

Danger: all that may fail for want of the API comes before the claim: nobody looks after a run that was only claimed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from redrive.blocks.prefect.labels import ATTEMPT
from redrive.infra.worker.beginning import Beginning, Other
from redrive.infra.worker.delivery import deliver
from redrive.infra.worker.deployments import Deployment, Deployments
from redrive.infra.worker.due import LEFT_ALONE, Due
from redrive.infra.worker.identity import Identity
from redrive.infra.worker.job_template import WarmConfiguration
from redrive.infra.worker.log import Log
from redrive.infra.worker.run_api import Json, RunApi


@dataclass(frozen=True, kw_only=True)
class Job:
    """A due run with what it needs; `settings` is what is wrong with them if they are."""

    due: Due
    deployment: Deployment | None
    settings: WarmConfiguration | ValueError


@dataclass(frozen=True, kw_only=True)
class Claims:
    """The claims of one worker."""

    me: Identity
    api: RunApi
    deployments: Deployments
    beginning: Beginning
    log: Log

    async def job(self, due: Due) -> Job:
        """What is known of a run before it is claimed.

        Raises:
            httpx.HTTPError: the API is unavailable.
        """
        deployment = await self._deployment(due)
        await self.deployments.flow_name(due.run["flow_id"])
        return Job(due=due, deployment=deployment, settings=await self._settings(due, deployment))

    async def begin(self, due: Due, pid: int) -> Json | Other:
        """Claim, sign and set it Running in one call: its Running state, or why that was not done."""
        states = await self.beginning.of(due.id, pid)
        if isinstance(states, str):
            return states
        due.run["state"] = states["pending"]
        running: Json = states["running"]
        return running

    async def claim(self, due: Due) -> bool:
        """Pending: of all workers that saw the run, one is told yes."""
        answer = await self.api.claim(due.id)
        if answer is None:
            return False
        if answer["status"] == "ACCEPT":
            due.run["state"] = answer["state"]
            return True
        if answer["status"] == "WAIT":
            await asyncio.sleep(min(LEFT_ALONE, float(answer["details"].get("delay_seconds") or 0)))
        return False

    async def cannot_submit(self, due: Due, error: Exception) -> None:
        """A claimed run that cannot run at all ends here, with the reason."""
        message = f"Failed to submit flow run to infrastructure: {type(error).__name__}: {error}"
        crashed: Json = {"type": "CRASHED", "name": "Crashed", "message": message}
        await self.api.transition(due.id, crashed, only_from=["PENDING"])

    def labels(self, claim: str) -> Json:
        """What says who has a run, and in which attempt."""
        return {**self.me.labels, ATTEMPT: claim}

    async def sign(self, run_id: str, labels: Json) -> None:
        """Write who has a run and in which attempt; later than at once only while that still is so."""
        late = False

        async def write() -> None:
            nonlocal late
            if not late or await self.api.latest_claim(run_id) == labels[ATTEMPT]:
                late = True
                await self.api.label(run_id, labels)

        await deliver(write, self.log)

    async def _deployment(self, due: Due) -> Deployment | None:
        deployment_id = due.run.get("deployment_id")
        deployment = await self.deployments.of(deployment_id) if deployment_id else None
        if deployment_id and deployment is None:
            # As Prefect's own worker does, and says.
            message = f"Deployment {deployment_id} no longer exists, cancelled run."
            cancelled: Json = {"type": "CANCELLED", "name": "Cancelled", "message": message}
            await self.api.transition(due.id, cancelled, only_from=["SCHEDULED"], force=True)
        return deployment

    async def _settings(self, due: Due, deployment: Deployment | None) -> WarmConfiguration | ValueError:
        """Of the job, or what is wrong with them."""
        try:
            config = await self.deployments.settings(due.run, deployment, self.me.template())
            config.require_folder()
        except ValueError as error:
            return error
        return config
