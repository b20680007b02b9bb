"""Who a worker is: to Prefect, and to the jobs it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redrive.blocks.prefect.labels import POOL_ID, POOL_NAME, TRACED, WORKER, WORKER_TYPE
from redrive.blocks.prefect.private.worker import OwnWorker
from redrive.blocks.tracing.switch import is_on
from redrive.infra.worker.job_template import completed


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who this worker is to Prefect. `template` is asked for anew with each job, as somebody may edit the pool."""

    name: str
    type: str
    pool_name: str
    pool_id: str
    worker_id: str | None
    template: Callable[[], dict[str, Any]]

    @classmethod
    def of(cls, worker: OwnWorker[Any, Any, Any]) -> Identity:
        """Of a worker that knows its pool."""
        pool = worker.work_pool
        return cls(
            name=worker.name,
            type=worker.type,
            pool_name=pool.name,
            pool_id=str(pool.id),
            worker_id=str(worker.backend_id) if worker.backend_id else None,
            template=lambda: completed(worker.work_pool.base_job_template),
        )

    @property
    def labels(self) -> dict[str, str]:
        """What Prefect's own workers write on the runs they take; and whether their attempts are traced."""
        return {
            WORKER: self.name,
            WORKER_TYPE: self.type,
            POOL_NAME: self.pool_name,
            POOL_ID: self.pool_id,
            **({TRACED: "1"} if is_on() else {}),
        }

    @property
    def environment(self) -> dict[str, str]:
        """What they tell the job about themselves."""
        known = {"PREFECT__WORKER_NAME": self.name, "PREFECT__WORKER_ID": self.worker_id}
        return {name: value for name, value in known.items() if value}
