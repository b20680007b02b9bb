"""Job types: what each takes, by which policy it is retried and where that comes from; changing that; asking for a job by a form."""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.retry import RetryPolicy
from redrive.blocks.prefect.client import reachable
from redrive.dashboards.console.access.guard import Editor, Fields, Operator, one
from redrive.dashboards.console.answers import done
from redrive.dashboards.console.parameter_form import Field, changes, fields
from redrive.dashboards.console.parts import The
from redrive.dashboards.console.record import written_down
from redrive.dashboards.console.shown import page
from redrive.deployments.acceptance import deployment_of
from redrive.deployments.catalog import catalog, job_type
from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.enqueue import enqueue
from redrive.deployments.health.pace import SPANS
from redrive.deployments.policies import Policy, override, policy_of
from redrive.deployments.queue_names import queues as queue_names

router = APIRouter()

#: Seconds that a policy is shared, and shown at most while it is read anew: a block may be changed elsewhere too.
POLICY_SHARED: Final = 15.0
POLICY_STALE: Final = 60.0


@router.get("/types")
def types(request: Request) -> Response:
    return page(request, "types.html", types=sorted(catalog().values(), key=lambda job: (job.pool, job.name)))


@router.get("/types/{name}")
def one_type(request: Request, the: The, name: str, span: str = "24h") -> Response:
    known = job_type(name)
    policy = the.memo.get(("policy", name), POLICY_SHARED, lambda: _policy(name), stale=POLICY_STALE)
    return page(
        request,
        "type.html",
        type=known,
        policy=policy,
        rows=_rows(policy),
        fields=_fields(name),
        queues=tuple(queue_names()),
        open=the.ledger.count(Filter(status="open", job=name)),
        span=span if span in SPANS else "24h",
        spans=SPANS,
    )


@router.post("/types/{name}/enqueue")
def ask(request: Request, the: The, who: Operator, form: Fields, name: str) -> Response:
    queue = one(form, "queue")
    with written_down(the, who=who.name, what="enqueue", about=f"job type {name}", why=one(form, "why")):
        accepted = enqueue(
            name,
            changes(form, _fields(name)),
            key=one(form, "key") or None,
            queue=next((known for known in queue_names() if known == queue), None),
            delay=_delay(one(form, "delay")),
        )
    said = "The job was accepted." if accepted.new else "A job with this key was there already: this is it."
    return done(request, said, go=f"/jobs/{accepted.id}")


@router.post("/types/{name}/policy")
def change(request: Request, the: The, who: Editor, form: Fields, name: str) -> Response:
    with written_down(the, who=who.name, what="policy", about=f"job type {name}", why=one(form, "why")):
        found = override(
            name, {field: _value(field, one(form, field)) for field in RetryPolicy.model_fields if field in form}
        )
    the.memo.forget(("policy", name))
    said = (
        "Overridden: jobs follow it from their next start." if found.overridden else "The catalog's policy holds again."
    )
    return done(request, said, go=f"/types/{name}")


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
        return ", ".join(map(_shown, value))
    if hasattr(value, "model_dump"):
        return json.dumps(value.model_dump())
    return str(value) if not isinstance(value, dict) else json.dumps(value)


def _value(name: str, text: str) -> Any:
    """A part of a policy from its text; None where it is left to the catalog."""
    if not text:
        return None
    try:
        match name:
            case "never_on":
                return [part.strip() for part in text.split(",") if part.strip()]
            case "backoff":
                return [float(part) for part in text.split(",")]
            case "max_tries" | "max_crashes":
                return int(text)
            case _:
                return float(text)
    except ValueError:
        raise ParameterError(f"{name}: {text!r} is no {'list of numbers' if name == 'backoff' else 'number'}") from None


def _delay(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise ParameterError(f"{text!r} is no number of seconds") from None
