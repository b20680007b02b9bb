"""The job type of the stateful model test: nobody runs it, its attempts are told step by step."""

from __future__ import annotations

from redrive.blocks.core.retry import RetryPolicy
from redrive.deployments.job_type import JobType
from redrive.flows.engine.job import job

MODEL = JobType(
    "model-job",
    entrypoint="tests.support.model_jobs.model_job",
    policy=RetryPolicy(max_tries=2, backoff=(60,), jitter=0, timeout=None, retry_until=None, max_crashes=1),
)
JOBS = [MODEL]


@job(MODEL)
def model_job(number: int = 0) -> int:
    return number
