"""Prefect's database filled with runs by SQL: what takes months through the API takes half a minute here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from redrive.blocks.core.pool_names import POOL
from redrive.blocks.core.settings import Settings
from tests.support.prefect_client import api

_RUNS = """
INSERT INTO flow_run (
    id, flow_id, deployment_id, work_queue_id, work_queue_name, name, parameters, tags, labels,
    state_type, state_name, state_timestamp, run_count, expected_start_time, next_scheduled_start_time,
    start_time, end_time, total_run_time
)
SELECT
    gen_random_uuid(), %(flow)s, %(deployment)s, %(queue_id)s, %(queue)s, 'made-up-' || n,
    '{{"folder": "/nowhere", "name": "made up", "seconds": 0}}', '[]', '{{"prefect.worker.name": "made-up"}}',
    {state}
FROM generate_series(1, %(count)s) n
"""
#: Ended within the last month, an hour ago at the latest.
_ENDED = """
    CASE WHEN n %% 20 = 0 THEN 'CANCELLED' ELSE 'COMPLETED' END::state_type,
    CASE WHEN n %% 20 = 0 THEN 'Cancelled' ELSE 'Completed' END,
    now() - interval '1 hour' - random() * interval '29 days', 1, now() - interval '30 days', NULL,
    now() - interval '30 days', now() - interval '1 hour' - random() * interval '29 days', interval '2 seconds'
"""
_WAITING = """
    'SCHEDULED'::state_type, 'Late', now(), 0, now() - random() * interval '1 hour', now() - random() * interval '1 hour',
    NULL, NULL, interval '0'
"""
_SCHEDULED = """
    'SCHEDULED'::state_type, 'Scheduled', now(), 0, now() + random() * interval '7 days', now() + random() * interval '7 days',
    NULL, NULL, interval '0'
"""
#: Half of them are due.
_RETRYING = """
    'SCHEDULED'::state_type, 'AwaitingRetry', now(), 1, now() - interval '2 hours',
    now() + (random() - 0.5) * interval '1 hour', now() - interval '2 hours', NULL, interval '2 seconds'
"""
_IN_PROGRESS = """
    'RUNNING'::state_type, 'Running', now(), 1, now() - random() * interval '1 hour', NULL, now(), NULL, interval '0'
"""
_STATES = """
INSERT INTO flow_run_state (id, flow_run_id, type, name, timestamp, message, state_details)
SELECT gen_random_uuid(), id, state_type, state_name, state_timestamp, '', '{}' FROM flow_run WHERE state_id IS NULL
"""
_LINK = """
UPDATE flow_run SET state_id = flow_run_state.id
FROM flow_run_state WHERE flow_run_state.flow_run_id = flow_run.id AND flow_run.state_id IS NULL
"""


@dataclass(frozen=True)
class FullPrefect:
    """Adds runs of one deployment to the database of a running stack."""

    settings: Settings
    job: str
    queue: str

    def add(
        self,
        *,
        ended: int = 0,
        waiting: int = 0,
        scheduled: int = 0,
        retrying: int = 0,
        in_progress: int = 0,
        analyze: bool = True,
    ) -> None:
        """So many finished runs, due ones, ones that are due later, ones that wait for their next try, and running ones."""
        wanted = (
            (_ENDED, ended), (_WAITING, waiting), (_SCHEDULED, scheduled), (_RETRYING, retrying), (_IN_PROGRESS, in_progress),
        )  # fmt: skip
        given = self._given()
        url = self.settings.prefect_database_url().replace("+asyncpg", "", 1)
        with psycopg.connect(url, autocommit=True) as connection:
            for state, count in wanted:
                runs = _RUNS.format(state=state)
                connection.execute(runs.encode(), {**given, "count": count})
            connection.execute(_STATES.encode())
            connection.execute(_LINK.encode())
            if analyze:
                connection.execute(b"VACUUM ANALYZE flow_run")
                connection.execute(b"VACUUM ANALYZE flow_run_state")

    def _given(self) -> dict[str, Any]:
        deployment = api().read_deployment_by_name(f"{self.job}/{self.job}")
        path = {"work_pool_name": POOL}
        found = api().request("POST", "/work_pools/{work_pool_name}/queues/filter", path_params=path, json={}).json()
        (queue_id,) = (queue["id"] for queue in found if queue["name"] == self.queue)
        return {"flow": deployment.flow_id, "deployment": deployment.id, "queue": self.queue, "queue_id": queue_id}
