"""The ways to run jobs that are compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One way to run jobs: its work pool's type, its settings, how many jobs tell enough."""

    name: str
    kind: str
    jobs: int
    singles: int
    settings: dict[str, str] = field(default_factory=dict)
    #: Whether the module of the job imports pandas, as that of a report does.
    pandas: bool = False
    #: What runs; by default a plain flow with one task.
    flow: Any = None
    #: A peer's name for what runs.
    job: str = "rq_job.one_task"


CONTESTANTS = (
    Contestant(name="stock", kind="process", jobs=12, singles=4),
    Contestant(name="stock, 1 s", kind="process", jobs=12, singles=4, settings={"PREFECT_WORKER_QUERY_SECONDS": "1"}),
    Contestant(name="warm", kind="warm", jobs=900, singles=30),
    Contestant(name="warm-plain", kind="warm", jobs=300, singles=30, settings={"REDRIVE_FAST_SERVER": "0"}),
    Contestant(name="RQ", kind="rq", jobs=300, singles=30),
    Contestant(name="Celery", kind="celery", jobs=3000, singles=30),
    Contestant(name="pgqueuer", kind="pgqueuer", jobs=3000, singles=30),
    Contestant(name="warm, pandas", kind="warm", jobs=150, singles=20, pandas=True),
    Contestant(name="RQ, pandas", kind="rq", jobs=60, singles=10, pandas=True, job="rq_job_pandas.one_task"),
)
