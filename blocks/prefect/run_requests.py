"""Making the runs of jobs that were asked for: one call for many, repeated where the connection broke.

Danger: every request has an idempotency key, drawn if nobody gave one; only that makes repeating it safe.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from http import HTTPStatus
from itertools import islice
from typing import Any
from uuid import UUID

import httpx

from redrive.blocks.core.errors import ApiUnavailable, NotFound, ParameterError
from redrive.blocks.core.patience import patience, patient
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.fast_calls import ask_fast
from redrive.blocks.prefect.requests import fast, server
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run_labels import DRAWN
from redrive.blocks.prefect.transport import NoAnswer

#: Prefect's own limit of runs in one bulk call.
BULK_LIMIT = 100
#: Seconds a hundred new jobs may take beyond those a call has: the server creates them one after another.
BULK_SECONDS = 30.0
#: Pauses before a request is repeated whose connection broke, seconds. Its key makes one job of all of them.
REPEATS = (0.1, 0.5, 2.0)
#: What breaks after a request may have arrived; a connection that was never made is not among them.
_BROKEN = (httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError)


def batches(bodies: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(bodies)
    while batch := list(islice(rest, BULK_LIMIT)):
        yield batch


def made(deployment: UUID, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs as the API tells them, in order, also where the connection breaks after the server made them.

    Raises:
        NotFound: the deployment was deleted.
        ParameterError: Prefect refuses some.
        ApiUnavailable: whether they were made is unknown.
    """
    for pause in (*REPEATS, None):
        try:
            return _create(deployment, batch)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == HTTPStatus.NOT_FOUND:
                raise NotFound(f"deployment {deployment} was deleted") from None
            raise
        except _BROKEN as error:
            if pause is None:
                raise _unknown(batch, error) from error
            time.sleep(pause)
        except (NoAnswer, httpx.TimeoutException) as error:
            if isinstance(error, httpx.ConnectTimeout) or (isinstance(error, NoAnswer) and not error.arrived):
                raise
            raise _unknown(batch, error.__cause__ or error) from error
    raise AssertionError("the loop above returns or raises")


def _unknown(batch: list[dict[str, Any]], error: BaseException) -> ApiUnavailable:
    keys = f"the key {batch[0]['idempotency_key']}" if len(batch) == 1 else "keys of your own"
    return ApiUnavailable(
        f"Prefect's API did not answer ({type(error).__name__}), so it is not known whether the job was accepted: ask again with "
        f"{keys}, which makes it one job either way"
    )


def _create(deployment: UUID, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Create the runs; returns each as the API tells it, in order."""
    if (created := ask_fast(fast.create(deployment, batch))) is not None:
        return created
    if len(batch) == 1:
        return [ask(requests.create(deployment, batch[0]))]
    # A server that hangs is found out by a call that takes no time; then its silence is work.
    ask(server.health())
    with patient(patience() + BULK_SECONDS):
        results = ask(requests.create_all(deployment, batch))
    if refused := [result["error"] for result in results if result["status"] != "CREATED"]:
        raise ParameterError(
            f"{len(refused)} of {len(results)} jobs {'was' if len(refused) == 1 else 'were'} refused, "
            f"the others accepted; the first because: {refused[0]}"
        )
    ids = [result["flow_run_id"] for result in results]
    if all(body["idempotency_key"].startswith(DRAWN) for body in batch):
        return [
            {"id": one, "labels": body["labels"], "state": body["state"]} for one, body in zip(ids, batch, strict=True)
        ]
    # The bulk call does not tell new jobs from known ones; the runs themselves do.
    found = ask(requests.find({"flow_runs": {"id": {"any_": ids}}, "limit": BULK_LIMIT}))
    runs = {run["id"]: run for run in found}
    return [runs[one] for one in ids]
