"""What the worker must know of deployments: where a job's code is and what it is given, asked for once in a while.

Danger: an answer is some seconds old. A deployment deleted in that time has lost its waiting runs too, so that little is left
to start.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import orjson
from prefect.client.orchestration import PrefectClient

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
        self._known: dict[str, tuple[float, Deployment | None]] = {}
        self._settings: dict[bytes, tuple[float, WarmConfiguration]] = {}

    async def of(self, deployment_id: str) -> Deployment | None:
        """A deployment; None if it was deleted."""
        asked, known = self._known.get(deployment_id, (0.0, None))
        if time.monotonic() - asked > FRESH:
            found = await self._api.deployment(deployment_id)
            known = Deployment(found) if found else None
            self._known[deployment_id] = (time.monotonic(), known)
        return known

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
        asked, known = self._settings.get(key, (0.0, None))
        if known is None or time.monotonic() - asked > FRESH:
            made: Any = await WarmConfiguration.from_template_and_values(template, variables, client=self._client)
            known = made
            if len(self._settings) > 200:  # noqa: PLR2004  (runs with variables of their own each must not fill the memory)
                self._settings.clear()
            self._settings[key] = (time.monotonic(), made)
        return known


def environment(
    config: WarmConfiguration, run: Json, deployment: Deployment | None, worker: dict[str, str]
) -> dict[str, str | None]:
    """What Prefect's own worker puts into a job's environment, beside what pool and deployment say."""
    ours: dict[str, str | None] = {**worker, "PREFECT__FLOW_RUN_ID": run["id"], "PREFECT__FLOW_ID": run["flow_id"]}
    if deployment:
        ours |= {"PREFECT__DEPLOYMENT_ID": deployment.data["id"], "PREFECT__DEPLOYMENT_NAME": deployment.data["name"]}
    return {**config.env, **ours}
