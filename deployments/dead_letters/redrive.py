"""Redriving: a dead job runs again, as the same run or as a new one with edited parameters; alone or many at a pace.

Danger: a row is claimed before its run is touched, so two operators never start one job twice; whoever claims it must start
it or give it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from redrive.blocks.core.errors import ApiUnavailable, Conflict, RedriveError
from redrive.blocks.core.remembered import Remembered
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.labels import REDRIVEN_BY
from redrive.blocks.prefect.requests import deployments
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.run_labels import KEY, REPLACED_BY, REPLACES, fresh_count
from redrive.blocks.prefect.run_state import require_state, start_again
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import CANCELLED, DEAD, SCHEDULED, state
from redrive.blocks.tracing.creations import followed
from redrive.deployments.acceptance import deployment_of
from redrive.deployments.dead_letters.ledger import DeadLetter, Ledger
from redrive.deployments.enqueue import enqueue_many
from redrive.deployments.job_request import Item
from redrive.deployments.parameters import checked
from redrive.deployments.queue_names import queues

#: Seconds a batch remembers that a deployment is there.
SEEN = 5.0
#: Seconds until a new run with edited parameters is due by itself: no worker may take it before it is certain that nobody started the old
#: one meanwhile, and then it is made due at once. Longer than that takes, short enough where whoever redrives is cut off in between.
HELD = 60.0
#: The name of the state that a run is made in.
_MADE = "Scheduled"


@dataclass(frozen=True, kw_only=True)
class Redriven:
    """A dead letter that runs again: `run_id` is its own run, or the new one with `edited` parameters."""

    id: UUID
    job: str
    run_id: UUID
    edited: bool


def redrive(
    ledger: Ledger,
    which: UUID | str,
    *,
    who: str,
    why: str = "",
    parameters: Mapping[str, Any] | None = None,
    batch: UUID | None = None,
) -> Redriven:
    """Run one dead letter again.

    Args:
        which: id of the row or of its run, or the beginning of one.
        who: the person.
        why: kept in the history.
        parameters: edited ones, checked before anything happens: then a new run replaces the old one.

    Raises:
        NotFound: no such row.
        Conflict: somebody else was quicker, or its job type is gone.
        ParameterError: the edited parameters do not fit.
        ApiUnavailable, LedgerUnavailable: nothing was changed, or the row was given back.
    """
    return redrive_known(ledger, which, who=who, why=why, parameters=parameters, batch=batch, known=KnownDeployments())


class KnownDeployments:
    """Which deployments there are. One that was there is taken to be there for some seconds: a batch would ask for each row."""

    def __init__(self) -> None:
        self._seen = Remembered[UUID, bool](SEEN)

    def has(self, deployment_id: UUID | None) -> bool:
        if deployment_id is None:
            return False
        if self._seen.fresh(deployment_id, otherwise=False):
            return True
        if ask(deployments.read(deployment_id).or_none()) is None:
            return False
        return self._seen.keep(deployment_id, True)  # noqa: FBT003  (what is kept)


def redrive_known(
    ledger: Ledger,
    which: UUID | str,
    *,
    who: str,
    why: str,
    parameters: Mapping[str, Any] | None,
    batch: UUID | None,
    known: KnownDeployments,
) -> Redriven:
    """As `redrive`, for one of many: `known` remembers which deployments there are."""
    row = ledger.get(which)
    with reachable():
        if parameters is not None:
            deployment = deployment_of(row.job)
            checked(row.job, parameters, deployment.parameter_openapi_schema or {}, deployment.parameters or {})
        claimed = ledger.claim_for_redrive(row.id, who=who, why=why, batch=batch)
        try:
            run = runs.by_id([row.run_id]).get(row.run_id)
            if run is not None:
                _still_dead(claimed, run)
            if run is None or parameters is not None:
                edited = row.parameters if parameters is None else parameters
                return _replace(ledger, claimed, run, edited, who=who)
            return start_same_run(claimed, run, who=who, why=why, known=known)
        except (RedriveError, httpx.HTTPError) as error:
            ledger.unclaim(row.id, who=who, why=f"could not be started: {error}")
            raise


def _still_dead(row: DeadLetter, run: Run) -> None:
    """Nobody else started the run meanwhile. A run that Prefect cancelled for its missing deployment is dead too.

    Raises:
        Conflict: it is not dead any more.
    """
    if run.state_type not in DEAD and run.state_id != row.dead_state_id:
        raise Conflict(f"job {run.name} ({run.id}) is {run.state_name}, not dead; its row follows by itself")


def start_same_run(row: DeadLetter, run: Run, *, who: str, why: str, known: KnownDeployments) -> Redriven:
    """The same run again: what its steps completed is not repeated."""
    if not known.has(run.deployment_id):
        raise Conflict(
            f"job {run.name} ({run.id}): its deployment of {row.job!r} is gone, so no worker could run it; "
            f"register the job type again (`redrive up`) and redrive with --params-json, or discard it"
        )
    detail = f"redriven by {who}" + (f": {why}" if why else "")
    now = SERVER_CLOCK.now()
    start_again(
        run.id,
        state_id=run.state_id,
        at=now,
        told=now,
        message=detail,
        retrying=False,
        labels=fresh_count(now, death=run.state_id, counted=run.labels.deaths_counted),
    )
    return Redriven(id=row.id, job=row.job, run_id=run.id, edited=False)


def _replace(ledger: Ledger, row: DeadLetter, run: Run | None, parameters: Mapping[str, Any], *, who: str) -> Redriven:
    """A new run instead of the old one, which carries its key on: effects that happened do not happen twice."""
    key = row.effect_key or (run.effect_key if run else str(row.run_id))
    labels = {REPLACES: str(row.run_id), KEY: key, REDRIVEN_BY: who}
    # The row and how often it was redriven name this very request: asked twice, it makes one run.
    asked = f"redrive:{row.id}:{row.redrives}"
    item = Item(
        parameters=parameters, key=asked, labels=labels, follows=followed(run.labels, "replaces") if run else ()
    )
    queue = row.queue if row.queue in queues() else None
    if run is not None:
        require_state(run.id, run.state_id)
    (accepted,) = enqueue_many(row.job, [item], queue=queue, delay=HELD if run is not None else None)
    if run is not None:
        # Before the row is linked: cut off in between, the row is given back, and asking again finds the same new run.
        ask(requests.label(run.id, {REPLACED_BY: str(accepted.id)}))
        try:
            require_state(run.id, run.state_id)
        except Conflict:
            # Pressed in the moment of making the new one.
            _withdraw(run, accepted.id)
            raise
    ledger.link_replacement(row.run_id, accepted.id)
    if run is not None:
        _start_now(accepted.id)
    return Redriven(id=row.id, job=row.job, run_id=accepted.id, edited=True)


def _start_now(replacement: UUID) -> None:
    """Let the new run begin that was held back. Where the API is unavailable just now, it does so by itself a little later."""
    now = SERVER_CLOCK.now()
    # Asked for twice, it may have begun by now, and wait for its own next try.
    with suppress(ApiUnavailable, httpx.HTTPError):
        runs.transition(replacement, state(SCHEDULED, at=now), only_from=[SCHEDULED], names=[_MADE])


def _withdraw(run: Run, replacement: UUID) -> None:
    """Somebody pressed Retry on the old run meanwhile: the new one goes, with its key, unless a worker has it already."""
    withdrawn = state(CANCELLED, message=f"run {run.id} was started again meanwhile")
    if runs.transition(replacement, withdrawn, only_from=[SCHEDULED]):
        runs.delete_if([replacement], types=[CANCELLED])
    ask(requests.label(run.id, {REPLACED_BY: ""}))
