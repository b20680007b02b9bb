"""Prefect's database filled with runs by SQL: what takes months through the API takes half a minute here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from redrive.blocks.core.pool_names import POOL
from redrive.blocks.core.settings import Settings
from tests.support.prefect_client import api

#: A run and its state in one statement: to write the state's id into the run afterwards takes longer than all of this.
_RUNS = """
WITH made AS MATERIALIZED (
  SELECT gen_random_uuid() AS id, gen_random_uuid() AS state_id, n, {state} FROM generate_series(1, %(count)s) n
), runs AS (
  INSERT INTO flow_run (
    id, state_id, flow_id, deployment_id, work_queue_id, work_queue_name, name, parameters, tags, labels,
    state_type, state_name, state_timestamp, run_count, expected_start_time, next_scheduled_start_time,
    start_time, end_time, total_run_time
  )
  SELECT
    id, state_id, %(flow)s, %(deployment)s, %(queue_id)s, %(queue)s, 'made-up-' || n,
    '{{"folder": "/nowhere", "name": "made up", "seconds": 0}}', '[]', '{{"prefect.worker.name": "made-up"}}',
    state_type, state_name, state_timestamp, run_count, due, due_next, began, ended, ran
  FROM made
)
INSERT INTO flow_run_state (id, flow_run_id, type, name, timestamp, message, state_details)
SELECT state_id, id, state_type, state_name, state_timestamp, '', '{{}}' FROM made
"""
#: Ended within the last month, an hour ago at the latest.
_ENDED = """
    CASE WHEN n %% 20 = 0 THEN 'CANCELLED' ELSE 'COMPLETED' END::state_type AS state_type,
    CASE WHEN n %% 20 = 0 THEN 'Cancelled' ELSE 'Completed' END AS state_name,
    now() - interval '1 hour' - random() * interval '29 days' AS state_timestamp, 1 AS run_count,
    now() - interval '30 days' AS due, NULL::timestamptz AS due_next, now() - interval '30 days' AS began,
    now() - interval '1 hour' - random() * interval '29 days' AS ended, interval '2 seconds' AS ran
"""
_WAITING = """
    'SCHEDULED'::state_type AS state_type, 'Scheduled' AS state_name, now() AS state_timestamp, 0 AS run_count,
    now() - random() * interval '1 hour' AS due, now() - random() * interval '1 hour' AS due_next,
    NULL::timestamptz AS began, NULL::timestamptz AS ended, interval '0' AS ran
"""
_SCHEDULED = """
    'SCHEDULED'::state_type AS state_type, 'Scheduled' AS state_name, now() AS state_timestamp, 0 AS run_count,
    now() + random() * interval '7 days' AS due, now() + random() * interval '7 days' AS due_next,
    NULL::timestamptz AS began, NULL::timestamptz AS ended, interval '0' AS ran
"""
#: Half of them are due.
_RETRYING = """
    'SCHEDULED'::state_type AS state_type, 'AwaitingRetry' AS state_name, now() AS state_timestamp, 1 AS run_count,
    now() - interval '2 hours' AS due, now() + (random() - 0.5) * interval '1 hour' AS due_next,
    now() - interval '2 hours' AS began, NULL::timestamptz AS ended, interval '2 seconds' AS ran
"""
_IN_PROGRESS = """
    'RUNNING'::state_type AS state_type, 'Running' AS state_name, now() AS state_timestamp, 1 AS run_count,
    now() - random() * interval '1 hour' AS due, NULL::timestamptz AS due_next, now() AS began, NULL::timestamptz AS ended,
    interval '0' AS ran
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
            if analyze:
                connection.execute(b"VACUUM ANALYZE flow_run")
                connection.execute(b"VACUUM ANALYZE flow_run_state")

    def _given(self) -> dict[str, Any]:
        deployment = api().read_deployment_by_name(f"{self.job}/{self.job}")
        path = {"work_pool_name": POOL}
        found = api().request("POST", "/work_pools/{work_pool_name}/queues/filter", path_params=path, json={}).json()
        (queue_id,) = (queue["id"] for queue in found if queue["name"] == self.queue)
        return {"flow": deployment.flow_id, "deployment": deployment.id, "queue": self.queue, "queue_id": queue_id}
