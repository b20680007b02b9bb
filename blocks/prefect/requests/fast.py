"""The calls that our own server answers beside Prefect's, to change runs and to tell of them; has it them?

The version is part of each route: a server without it, or with another one, does not know the route, and then nobody asks it
again for a while. So no call is spent on finding out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from datetime import datetime
from typing import Any

import httpx

from redrive.blocks.prefect.request import Json, Request, as_json
from redrive.blocks.prefect.states import COMPLETED, FAILED, SCHEDULED

#: What client and server agree on.
VERSION_OF_CALLS = 1

VERSION = "/redrive/version"
BEGIN = f"/redrive/{VERSION_OF_CALLS}/begin"
FINISH = f"/redrive/{VERSION_OF_CALLS}/finish"
CHANGE = f"/redrive/{VERSION_OF_CALLS}/change"
FORGET = f"/redrive/{VERSION_OF_CALLS}/forget"
CREATE = f"/redrive/{VERSION_OF_CALLS}/create"
FIND = f"/redrive/{VERSION_OF_CALLS}/find"
COUNT = f"/redrive/{VERSION_OF_CALLS}/count"
TRAIL = f"/redrive/{VERSION_OF_CALLS}/trail"
LOG = f"/redrive/{VERSION_OF_CALLS}/log"
SNAPSHOT = f"/redrive/{VERSION_OF_CALLS}/snapshot"

#: Types of the states into which `finish` brings a run.
ENDS = frozenset({COMPLETED, FAILED, SCHEDULED})

#: Answers of a server that does not have them: no such route, not allowed, not here.
_NOT_THERE = frozenset({404, 405, 501})
#: What it makes of a request that it does not understand: one of another release, say.
_NOT_UNDERSTOOD = 422
#: Seconds until such a server is asked again: it may have been replaced.
ASKED_AGAIN = 30.0

#: How the environment says no, as the settings read it.
_OFF = frozenset({"0", "false", "no", "off", "f", "n"})


class Absence:
    """What this process knows of a server without the calls.

    Attributes:
        until: when it is asked again, by the monotonic clock.
    """

    until = 0.0


ABSENCE = Absence()


def version() -> Request[Json]:
    """The version of its calls that a server has, with `why` if it has none after all."""
    return Request(method="GET", path=VERSION, read=as_json)


def begin(runs: list[Json], labels: Json) -> Request[dict[str, Json | None]]:
    """Claim, sign and start runs: those begun by id, with their `pending` and `running` states; None for those that somebody else has.

    A run that is not in the answer has to be claimed in Prefect's own way.

    Args:
        runs: each with `id`, `pid` of its process, and `move`, an id of this request, so that repeating it is safe.
        labels: of the worker.
    """
    return Request(
        method="POST",
        path=BEGIN,
        body={"runs": runs, "labels": labels},
        read=lambda answer: {**answer["begun"], **dict.fromkeys(answer.get("gone", ()))},
    )


def finish(body: Json) -> Request[Json]:
    """Bring a run from its Running state into another: `state` as it was written, None if the server declined.

    Args:
        body: as `infra/server/finish.py` takes it.
    """
    return Request(method="POST", path=FINISH, body=body, read=as_json)


def forget(run_id: object, state_id: object, labels: Json) -> Request[bool | None]:
    """Take a run from its process, with labels to add: whether it still was in that state. None: not understood."""
    body = {"id": str(run_id), "state_id": str(state_id), "labels": labels}
    return Request(method="POST", path=FORGET, body=body, read=lambda answer: bool(answer["forgotten"]))


def change(
    run_id: object, state: Json, *, types: Collection[str], names: Collection[str], state_id: object | None, force: bool
) -> Request[list[Json] | None]:
    """Propose a state for a run that is in a state of these types (and names, and with that id): the answer as of `runs.set_states`.

    With a true condition: Prefect's own call finds the run first, and changes it a moment later.
    """
    body: Json = {"id": str(run_id), "state": state, "types": list(types), "names": list(names), "force": force}
    body["state_id"] = None if state_id is None else str(state_id)
    return Request(
        method="POST", path=CHANGE, body=body, read=lambda answer: [answer["result"]] if answer["result"] else []
    )


def create(deployment: object, runs: list[Json]) -> Request[list[Json] | None]:
    """Make runs of a deployment, each as Prefect's own call takes it: what is known of each; None if they must go Prefect's way."""
    body: dict[str, Any] = {"deployment_id": str(deployment), "runs": runs}
    return Request(method="POST", path=CREATE, body=body, read=lambda answer: answer["runs"])


def find(body: Json) -> Request[list[Json] | None]:
    """Runs that fit a filter, as Prefect's own call takes it, with what `Run.of` reads of them; None: the server left it to Prefect's."""
    return Request(method="POST", path=FIND, body=body, read=lambda answer: answer["runs"])


def count(body: Json) -> Request[int | None]:
    """How many runs fit a filter, as Prefect's own call takes it; None: the server left it to Prefect's."""
    return Request(method="POST", path=COUNT, body=body, read=lambda answer: answer["count"])


def snapshot(pool: str, rows: Json) -> Request[Json | None]:
    """The `queues` of a pool with what waits and runs in each, and the `runs` of a filter as `find` takes it; None: as for `find`."""
    body = {"pool": pool, "find": rows}
    return Request(
        method="POST", path=SNAPSHOT, body=body, read=lambda answer: answer if answer["runs"] is not None else None
    )


def trail(run_id: object, most: int) -> Request[Json | None]:
    """The `states` of a run and the `tries` of its steps, by time, and its newest `artifacts` without results, as Prefect's own calls
    tell them.
    """
    return Request(method="POST", path=TRAIL, body={"id": str(run_id), "most": most}, read=as_json)


def log(run_ids: Collection[object], *, level: int, after: datetime, skipped: int) -> Request[list[Json] | None]:
    """A page of the log of one run, or of several together, by time, as Prefect's own call tells the lines."""
    named = {"id": str(*run_ids)} if len(run_ids) == 1 else {"ids": [str(one) for one in run_ids]}
    body = {**named, "level": level, "after": after.isoformat(), "skipped": skipped}
    return Request(method="POST", path=LOG, body=body, read=lambda answer: answer["lines"])


def may_be_there() -> bool:
    """Whether this process's server may have the calls, by what it said before; never with `REDRIVE_FAST_SERVER=0` in the environment."""
    return time.monotonic() >= ABSENCE.until and os.environ.get("REDRIVE_FAST_SERVER", "").lower() not in _OFF


class UnlessAbsent:
    """Ask one of the calls in such a block. A server that does not have it ends the block, and that is remembered for a while.

    Raises:
        httpx.HTTPStatusError: it has the call, and refuses.
    """

    def __enter__(self) -> None:
        """Nothing is asked yet."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        """Whether the call is absent."""
        status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None
        if status in _NOT_THERE:
            ABSENCE.until = time.monotonic() + ASKED_AGAIN
        return status in _NOT_THERE or status == _NOT_UNDERSTOOD
