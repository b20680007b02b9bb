"""A warm worker that takes a run which is not due by the server's clock any more, because that clock was put back just then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.counting_proxy import counting
from tests.support.plain_prefect import PlainPrefect

pytestmark = pytest.mark.stack

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("flow", ["plain", "coroutine"])
def test_run_that_was_claimed_when_the_clock_was_put_back_does_not_hold_its_slot_until_then(
    plain_prefect: PlainPrefect, flow: str
) -> None:
    pool = plain_prefect.pool(slots=1)
    deployment = plain_prefect.deploy(flow, pool)
    with counting(plain_prefect.url.removesuffix("/api")) as proxy:
        proxy.ahead, proxy.put_back_at = HOUR, "/bulk_set_state"
        with plain_prefect.working(pool, PREFECT_API_URL=f"{proxy.url}/api"):
            run = plain_prefect.begin(deployment, scheduled=datetime.now(UTC) + HOUR / 2)

            assert plain_prefect.end_of(run)["state_name"] == "Completed"

    names = [state["name"] for state in plain_prefect.states(run)]
    assert names == ["Scheduled", "Pending", "AwaitingRetry", "Pending", "Running", "Completed"]
