"""The list of jobs: one filter box, pages by keyset, live as long as nobody pauses it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from redrive.blocks.core.masking import mask_text
from redrive.blocks.prefect.client import reachable
from redrive.blocks.prefect.paging import Place
from redrive.blocks.prefect.run import Run
from redrive.dashboards.console.parts import The
from redrive.dashboards.console.shown import page, with_query
from redrive.deployments.jobs import query
from redrive.deployments.jobs.job import Job
from redrive.deployments.jobs.query_language import NAMES, Query, QueryError, parsed
from redrive.deployments.jobs.search import known_job_types
from redrive.deployments.jobs.states import WORDS
from redrive.deployments.queue_names import queues as queue_names

router = APIRouter()

#: Seconds that a page of the list is shared by all who look at it, and that the names of job types are.
SHARED: Final = 3.0
NAMES_SHARED: Final = 30.0
#: The chips above the list, each a state; and those of the rest of the filter stay.
STATES: Final = ("running", "waiting", "retrying", "scheduled", "dead", "completed", "cancelled")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the list."""

    job: Job
    error: str


@router.get("/jobs")
def jobs(request: Request, the: The, q: str = "", after: str = "") -> Response:
    place = Place.read(after)
    names = the.memo.get("job types", NAMES_SHARED, _job_types)
    values: dict[str, Any] = {
        "q": q,
        "problem": None,
        "rows": [],
        "found": None,
        "total": None,
        "after": after,
        "states": [
            (state, with_query("/jobs", {"q": _with_state(q, state)}), f"state:{state}" in q) for state in STATES
        ],
        "words": _words(names),
        "names": NAMES,
        "more": None,
    }
    try:
        asked = parsed(q, datetime.now(UTC), jobs=names, queues=tuple(queue_names()))
    except QueryError as error:
        values["problem"] = error
        return page(request, "jobs.html", code=422, **values)
    found, total = the.memo.get(("jobs", q, after), SHARED, lambda: _read(asked, place))
    values |= {
        "rows": [Row(job=Job.of(run), error=_error(run)) for run in found.runs],
        "found": found,
        "total": total,
        "more": with_query("/jobs", {"q": q, "after": found.next.text()}) if found.next else None,
    }
    return page(request, "jobs.html", **values)


def _read(asked: Query, place: Place | None) -> tuple[query.Found, int | None]:
    return query.page(asked, after=place), (query.count(asked) if place is None else None)


def _error(run: Run) -> str:
    job = Job.of(run)
    if job.status in {"dead", "replaced"} and run.labels.error:
        return mask_text(f"{run.labels.error}: {run.labels.error_message or ''}")
    return job.message or ""


def _with_state(q: str, state: str) -> str:
    """The filter with this state instead of the one it names, or without it if it names this one."""
    others = [part for part in q.split() if not part.startswith("state:")]
    return " ".join(others if f"state:{state}" in q.split() else [*others, f"state:{state}"])


def _job_types() -> tuple[str, ...]:
    with reachable():
        return tuple(known_job_types())


def _words(names: tuple[str, ...]) -> list[str]:
    """What the box completes."""
    return [
        *(f"state:{word}" for word in WORDS),
        *(f"queue:{queue}" for queue in queue_names()),
        *(f"job:{name}" for name in names),
        *(f"since:{span}" for span in ("15m", "1h", "24h", "7d")),
        "error:",
        'text:"',
        "param.",
        "name:",
        "worker:",
        "until:",
    ]
