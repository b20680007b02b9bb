"""What the worker must know of deployments: where a job's code is and what it is given, asked for once in a while.

Danger: an answer is some seconds old. A deployment deleted in that time has lost its waiting runs too, so that little is left
to start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from prefect.client.orchestration import PrefectClient

from redrive.blocks.core.remembered import Remembered
from redrive.infra.worker.job_template import WarmConfiguration
from redrive.infra.worker.run_api import Json, RunApi

#: Seconds an answer is used.
FRESH = 5.0


@dataclass(frozen=True)
class Deployment:
    """One deployment as the API gives it."""

    data: Json

    @property
    def entrypoint(self) -> str | None:
        """`module.function` if nothing has to be fetched first; None if Prefect's own loading is needed."""
        entrypoint = self.data.get("entrypoint") or ""
        return entrypoint if entrypoint and ":" not in entrypoint and not self.data.get("pull_steps") else None

    @property
    def module(self) -> str | None:
        return self.entrypoint.rpartition(".")[0] if self.entrypoint else None


class Deployments:
    """Answers about deployments and the settings of their jobs."""

    def __init__(self, api: RunApi, client: PrefectClient) -> None:
        self._api = api
        self._client = client
        self._known = Remembered[str, Deployment | None](FRESH)
        self._flow_names: dict[str, str] = {}
        #: Runs with variables of their own each must not fill the memory.
        self._settings = Remembered[bytes, WarmConfiguration](FRESH, most=200)

    async def of(self, deployment_id: str) -> Deployment | None:
        """A deployment; None if it was deleted."""
        known = self._known.fresh(deployment_id, otherwise=False)
        if isinstance(known, bool):
            found = await self._api.deployment(deployment_id)
            known = self._known.keep(deployment_id, Deployment(found) if found else None)
        return known

    async def flow_name(self, flow_id: str) -> str:
        """Of a run's flow: the job type, for Redrive's jobs. It never changes."""
        if flow_id not in self._flow_names:
            self._flow_names[flow_id] = await self._api.flow_name(flow_id)
        return self._flow_names[flow_id]

    async def modules(self, pool: str) -> list[str]:
        """The modules of all jobs of the pool that can be loaded ahead."""
        found = [Deployment(one).module for one in await self._api.deployments(pool)]
        return sorted({module for module in found if module})

    async def settings(self, run: Json, deployment: Deployment | None, template: Json) -> WarmConfiguration:
        """Pool, deployment and run put together, blocks and variables looked up.

        Raises:
            ValueError: a value that does not fit.
        """
        variables: Json = {
            **(deployment.data.get("job_variables") or {} if deployment else {}),
            **(run.get("job_variables") or {}),
        }
        key = orjson.dumps([variables, template], option=orjson.OPT_SORT_KEYS)
        known = self._settings.fresh(key, None)
        if known is None:
            made: Any = await WarmConfiguration.from_template_and_values(template, variables, client=self._client)
            known = self._settings.keep(key, made)
        return known


def environment(
    config: WarmConfiguration, run: Json, flow_name: str, deployment: Deployment | None, worker: dict[str, str]
) -> dict[str, str | None]:
    """What Prefect's own worker puts into a job's environment, beside what pool and deployment say."""
    ours: dict[str, str | None] = {
        **worker,
        "PREFECT__FLOW_RUN_ID": run["id"],
        "PREFECT__FLOW_ID": run["flow_id"],
        "PREFECT__FLOW_NAME": flow_name,
        # A run that is cancelled leaves; its worker runs the hooks and writes Cancelled, as for one that was killed.
        "PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS": "false",
    }
    if deployment:
        if entrypoint := deployment.data.get("entrypoint"):
            ours["PREFECT__FLOW_ENTRYPOINT"] = entrypoint
        ours |= {"PREFECT__DEPLOYMENT_ID": deployment.data["id"], "PREFECT__DEPLOYMENT_NAME": deployment.data["name"]}
    return {**config.env, **ours}
