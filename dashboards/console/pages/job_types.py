"""Job types: what each takes, by which policy it is retried and where that comes from; changing that; asking for a job by a form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from redrive.blocks.core.durations import duration
from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.retry import Exponential, RetryPolicy
from redrive.blocks.prefect.client import reachable
from redrive.dashboards.console.access.guard import Editor, Fields, Operator, one
from redrive.dashboards.console.answers import done
from redrive.dashboards.console.parameter_form import Field, changes, fields
from redrive.dashboards.console.parts import The
from redrive.dashboards.console.record import acting, written_down
from redrive.dashboards.console.shown import page
from redrive.deployments.acceptance import deployment_of
from redrive.deployments.catalog import catalog, job_type
from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.enqueue import enqueue
from redrive.deployments.health.pace import SPANS
from redrive.deployments.policies import Policy, about_type, override, policy_of
from redrive.deployments.queue_names import queues as queue_names

router = APIRouter()

#: Seconds that a policy is shared, and shown at most while it is read anew: a block may be changed elsewhere too.
POLICY_SHARED: Final = 15.0
POLICY_STALE: Final = 60.0
#: Seconds that the fields of its form, and how many of its failures are open, are shared.
FIELDS_SHARED: Final = 3.0
#: What `growing 5 2 3600` tells of delays that grow, in this order.
GROWTH: Final = ("base", "factor", "cap")


@router.get("/types")
def types(request: Request) -> Response:
    return page(request, "types.html", types=sorted(catalog().values(), key=lambda job: (job.pool, job.name)))


@router.get("/types/{name}")
def one_type(request: Request, the: The, name: str, span: str = "24h") -> Response:
    known = job_type(name)
    policy = the.api.get(("policy", name), POLICY_SHARED, lambda: _policy(name), stale=POLICY_STALE)
    return page(
        request,
        "type.html",
        type=known,
        policy=policy,
        rows=_rows(policy),
        fields=the.api.get(("fields", name), FIELDS_SHARED, lambda: _fields(name), stale=POLICY_STALE),
        queues=tuple(queue_names()),
        open=the.memo.get(("open", name), FIELDS_SHARED, lambda: the.ledger.count(Filter(status="open", job=name))),
        span=span if span in SPANS else "24h",
        spans=SPANS,
    )


@router.post("/types/{name}/enqueue")
def ask(request: Request, the: The, who: Operator, form: Fields, name: str) -> Response:
    queue = one(form, "queue")
    with written_down(the, acting(the, who, form), what="enqueue", about=about_type(name)):
        accepted = enqueue(
            name,
            changes(form, _fields(name)),
            key=one(form, "key") or None,
            queue=next((known for known in queue_names() if known == queue), None),
            delay=_delay(one(form, "delay")),
        )
    message = "The job was accepted." if accepted.new else "A job with this key was there already: this is it."
    return done(request, message, go=f"/jobs/{accepted.id}")


@router.post("/types/{name}/policy")
def change(request: Request, the: The, who: Editor, form: Fields, name: str) -> Response:
    values = {field: _value(field, one(form, field)) for field in RetryPolicy.model_fields if field in form}
    if isinstance(values.get("backoff"), dict):
        # As a block names delays that grow.
        values["exponential"] = values.pop("backoff")
    try:
        found = override(name, values, by=acting(the, who, form))
    finally:
        the.forget()
    message = (
        "Overridden: jobs follow it from their next start." if found.overridden else "The catalog's policy holds again."
    )
    return done(request, message, go=f"/types/{name}")


def _policy(name: str) -> Policy | None:
    with reachable():
        return policy_of(name)


def _fields(name: str) -> list[Field]:
    with reachable():
        deployment = deployment_of(name)
    return fields(deployment.parameter_openapi_schema, deployment.parameters, {})


def _rows(policy: Policy | None) -> list[dict[str, Any]]:
    """Each part of the policy: what holds, what the catalog says, what the block says."""
    if policy is None:
        return []
    given = {**policy.overridden, "backoff": policy.overridden.get("exponential") or policy.overridden.get("backoff")}
    return [
        {
            "name": name,
            "said": field.description or "",
            "holds": _shown(getattr(policy.policy, name)),
            "declared": _shown(getattr(policy.declared, name)),
            "given": "" if given.get(name) is None else _shown(given[name]),
        }
        for name, field in RetryPolicy.model_fields.items()
    ]


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, tuple | list):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, Exponential):
        value = value.model_dump()
    if isinstance(value, dict):
        return f"growing {' '.join(_shown(value[part]) for part in GROWTH if value.get(part) is not None)}"
    return str(value)


def _value(name: str, text: str) -> Any:
    """A part of a policy from its text; None where it is left to the catalog."""
    if not text:
        return None
    try:
        match name:
            case "never_on":
                return [part.strip() for part in text.split(",") if part.strip()]
            case "backoff" if text.startswith("growing"):
                return dict(zip(GROWTH, map(float, text.split()[1:]), strict=False))
            case "backoff":
                return [float(part) for part in text.split(",")]
            case "max_tries" | "max_crashes":
                return int(text)
            case _:
                return float(text)
    except ValueError:
        want = "list of seconds such as 1, 5, 10, nor growing BASE FACTOR CAP" if name == "backoff" else "number"
        raise ParameterError(f"{name}: {text!r} is no {want}") from None


def _delay(text: str) -> float | None:
    """Seconds until the job is due: from a number of them, a span such as `10m`, or a time."""
    if not text:
        return None
    for read in (float, lambda text: duration("delay", text).total_seconds(), _until):
        try:
            return float(read(text))
        except (ValueError, ParameterError):
            continue
    raise ParameterError(f"{text!r} is no time to start; write 90, 10m, 2h or 2026-12-24T18:00")


def _until(text: str) -> float:
    at = datetime.fromisoformat(text)
    return max(0.0, (at.astimezone(UTC) - datetime.now(UTC)).total_seconds())
