"""Which runs are ours, and what a worker's silence says about them: by the work pool they belong to.

Danger: a Prefect server may be shared. Runs of pools that no job type of the catalog names belong to other teams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from redrive.blocks.core.pool_names import OPS, POOL
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import pools as pool_requests
from redrive.blocks.prefect.requests import workers as worker_requests
from redrive.blocks.prefect.run import Run
from redrive.deployments.catalog import catalog

#: Types of pools whose jobs are processes below their worker. On any other (kubernetes, docker, ecs, …) a job outlives its worker.
LOCAL_TYPES = frozenset({"process", "warm"})


def pools() -> list[str]:
    """Names of the work pools of the catalog, housekeeping included."""
    return sorted({POOL, OPS, *(job.pool for job in catalog().values())})


def is_job(run: Run) -> bool:
    """Whether a run is one of our jobs: of a pool of the catalog, or of a job type whose queue was deleted under it."""
    if run.deployment_id is None:
        return False
    return run.pool != OPS and (run.pool in pools() or (not run.pool and run.job in catalog()))


@dataclass(frozen=True)
class Workers:
    """The workers of our pools as Prefect knows them: last heartbeat and seconds between two by worker, type by pool."""

    heartbeats: Mapping[str, object]
    types: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Workers:
        types = {str(pool["name"]): str(pool["type"]) for pool in ask(pool_requests.named(pools()))}
        heartbeats: dict[str, object] = {}
        intervals: dict[str, float] = {}
        for pool in types:
            workers = ask(worker_requests.of_pool(pool))
            heartbeats |= {worker["name"]: worker.get("last_heartbeat_time") for worker in workers}
            intervals |= {worker["name"]: float(worker.get("heartbeat_interval_seconds") or 0) for worker in workers}
        return cls(heartbeats, types, intervals)

    def end_with_worker(self, run: Run) -> bool:
        """Whether a run's process ends with its worker; also said of a pool that was deleted."""
        return self.types.get(run.pool, "process") in LOCAL_TYPES
