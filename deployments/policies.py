"""The retry policy that holds for a job type now, and where each part of it comes from: the catalog, or a block in Prefect.

Danger: a job reads its policy itself when it starts; what is written here holds for the next start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from redrive.blocks.core.errors import PolicyError, RedriveError, UnknownJob
from redrive.blocks.core.retry import RetryPolicy
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.requests import blocks
from redrive.deployments.catalog import catalog
from redrive.deployments.people.actor import Actor

#: The type of the block, as Prefect names it.
BLOCK: Final = "retry-policy"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """`overridden`: what a block says instead of the catalog, as it is written there; `problem`: why that is ignored."""

    job: str
    policy: RetryPolicy
    declared: RetryPolicy
    overridden: dict[str, Any]
    block_id: str | None = None
    problem: str = ""


def policy_of(job: str) -> Policy | None:
    """The policy of a job type; None if the catalog does not know it."""
    known = catalog().get(job)
    if known is None:
        return None
    document = ask(blocks.named(BLOCK, job).or_none())
    data = {name: value for name, value in ((document or {}).get("data") or {}).items() if value is not None}
    given = {name: value for name, value in data.items() if name in RetryPolicy.model_fields or name == "exponential"}
    block_id = str(document["id"]) if document else None
    values = dict(given)
    if (exponential := values.pop("exponential", None)) is not None:
        values["backoff"] = exponential
    try:
        policy = RetryPolicy(**{**known.policy.model_dump(), **values})
    except (PolicyError, RedriveError) as error:
        return Policy(
            job=job,
            policy=known.policy,
            declared=known.policy,
            overridden=given,
            block_id=block_id,
            problem=str(error),
        )
    return Policy(job=job, policy=policy, declared=known.policy, overridden=given, block_id=block_id)


def override(job: str, values: Mapping[str, Any], *, by: Actor) -> Policy:
    """Let a block say these values instead of the catalog's, and nothing else; none given, the catalog's hold again.

    Args:
        values: fields of `RetryPolicy` by name; `exponential` instead of `backoff` for growing delays.

    Raises:
        UnknownJob: there is no such job type.
        PolicyError: a policy that cannot work; nothing is written then.
    """
    with by.doing("policy", about_type(job)) as act:
        found = _override(job, values)
        act.outcome = _said(found)
        return found


def about_type(job: str) -> str:
    """How a job type is named in the record."""
    return f"job type {job}"


def _said(found: Policy) -> str:
    """What the record says of it."""
    given = ", ".join(f"{name} {value}" for name, value in found.overridden.items())
    return f"overridden: {given}" if given else "the catalog's policy holds again"


def _override(job: str, values: Mapping[str, Any]) -> Policy:
    known = catalog().get(job)
    if known is None:
        raise UnknownJob(f"no job type is named {job!r}")
    given = {name: value for name, value in values.items() if value is not None}
    checked = dict(given)
    if (exponential := checked.pop("exponential", None)) is not None:
        checked["backoff"] = exponential
    RetryPolicy(**{**known.policy.model_dump(), **checked})
    with reachable():
        there = ask(blocks.named(BLOCK, job).or_none())
        if there is not None and not given:
            ask(blocks.delete(there["id"]))
        elif there is not None:
            ask(blocks.replace(there["id"], given))
        elif given:
            kind = ask(blocks.kind(BLOCK))
            (schema,) = ask(blocks.schemas(kind["id"]))
            ask(
                blocks.create(
                    {"name": job, "data": given, "block_type_id": kind["id"], "block_schema_id": schema["id"]}
                )
            )
        found = policy_of(job)
    assert found is not None  # noqa: S101  (known above)
    return found
