"""The review of dead letters: what is broken, grouped by cause, published to Prefect's UI; on demand it asks for a decision.

Danger: a suspended flow ends its process and begins anew when it is resumed; what must not happen twice stands in a step.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput, read_flow_run_input
from prefect.input.run_input import keyset_from_base_key
from prefect.logging import get_run_logger
from pydantic import BaseModel, Field

from redrive.blocks.core.counted import counted
from redrive.blocks.core.errors import NotFound, ParameterError, PermanentError
from redrive.blocks.core.plain_text import markdown
from redrive.blocks.core.settings import settings
from redrive.deployments.catalog import job_type
from redrive.deployments.dead_letters.ledger import Filter, Group, Ledger
from redrive.deployments.dead_letters.redrive_many import redrive_all
from redrive.deployments.dead_letters.review_questions import open_questions, withdraw
from redrive.flows.engine.job import job, step

REVIEW = job_type("dead-letter-review")

#: Causes in the table; more than this no person reads at once.
SHOWN = 50
#: Dead letters that one decision redrives or discards at most.
CAP = 10_000
#: Prefect keeps the answer under this name.
KEY = "decision"
#: Characters of a sample message in the table.
MESSAGE_WIDTH = 160


class Choice(StrEnum):
    """What to do with dead letters."""

    redrive = "redrive"
    discard = "discard"
    leave = "leave"


class Decision(RunInput):
    """What shall become of these dead letters?"""

    who: str = Field(title="Who decides", description="Your name; it is kept in the history.", min_length=1)
    # A text, not a list to choose from: the list in Prefect's form closes as soon as a mouse has opened it.
    act: str = Field(
        Choice.leave.value,
        title="Do what",
        description="Write redrive (run them again), discard (give them up) or leave.",
        pattern=f"^({'|'.join(Choice)})$",
    )
    fingerprint: str = Field(
        "", title="Cause", description="Fingerprint from the table, or its first digits; empty for all."
    )
    job: str = Field("", title="Job type", description="Only of this job type; empty for all.")
    pace: float = Field(5, gt=0, title="Pace", description="Jobs a second when they are run again.")
    why: str = Field("", title="Why", description="Reason; it is kept in the history.")


class Reviewed(BaseModel):
    """What a review found and did."""

    open: int
    causes: int
    #: What was shown: the causes, and up to which row of the ledger. A decision is about nothing else.
    shown: tuple[str, ...] = ()
    until: datetime | None = None
    act: Choice = Choice.leave
    concerned: int = 0
    who: str = ""

    def summary(self) -> str:
        found = _counted(self)
        return found if self.act is Choice.leave else f"{found}; {self.who} decided: {self.act} {self.concerned}"


@job(REVIEW)
def dead_letter_review(ask: bool = True) -> Reviewed:  # noqa: FBT001, FBT002  (a checkbox in Prefect's form)
    """Show the open dead letters by cause and, if asked to, wait for a person's decision and carry it out.

    Args:
        ask: Suspend for a decision, which you give by resuming this run in Prefect's UI; scheduled reviews only report.
    """
    reviewed = publish()
    if not ask or reviewed.open == 0:
        get_run_logger().info(reviewed.summary())
        return reviewed
    withdraw_older()
    decision = _answered()
    if decision is None:
        # Typed as "or a coroutine": it is one only inside a running loop.
        asked: Any = suspend_flow_run(
            wait_for_input=Decision.with_initial_data(description=_question(reviewed)),
            # The keeper withdraws what nobody answers; Prefect's timeout would make it a failed run.
            timeout=None,
            key=KEY,
        )
        decision = asked
    done = carry_out(decision, reviewed.shown, reviewed.until, _batch())
    reviewed = reviewed.model_copy(update={"act": Choice(decision.act), "concerned": done, "who": decision.who})
    get_run_logger().info(reviewed.summary())
    return reviewed


@step(REVIEW.policy)
def publish() -> Reviewed:
    """Publish the table and the summary as artifacts."""
    with Ledger(settings().ledger_url()) as ledger:
        ledger.migrate()
        # Read first: what comes while the rest is read is not decided about.
        until = ledger.newest_open()
        groups = [group.masked() for group in ledger.groups(Filter(status="open"), limit=SHOWN)]
        total = ledger.count(Filter(status="open"))
        samples = {group.fingerprint: ledger.get(group.sample_id).run_id for group in groups}
    rows = [_row(group, str(samples[group.fingerprint])) for group in groups]
    create_table_artifact(
        key="dead-letters",
        table=rows,
        description=f"{total} open by cause, {datetime.now(UTC):%Y-%m-%d %H:%M}Z",
    )
    create_markdown_artifact(
        key="dead-letter-summary", markdown=_summary(groups, total), description="Open dead letters"
    )
    return Reviewed(open=total, causes=len(groups), shown=tuple(samples), until=until)


@step(REVIEW.policy, reuse=False)
def withdraw_older() -> int:
    """Cancel reviews that still wait for an answer, so that at most one question is open; returns how many."""
    context = FlowRunContext.get()
    me = context.flow_run.id if context and context.flow_run else None
    others = [run for run in open_questions() if run.id != me]
    return sum(withdraw(run, "a newer review asks instead") for run in others)


@step(REVIEW.policy, reuse=False)
def carry_out(decision: Decision, shown: tuple[str, ...], until: datetime | None, batch: UUID) -> int:
    """Do what was decided about what was shown; returns how many dead letters it concerned.

    Danger: cut off, it begins again. The batch tells what was done already, and nothing is done twice.
    """
    if decision.act == Choice.leave:
        return 0
    asked = Filter(
        status="open",
        fingerprint=decision.fingerprint.strip() or None,
        job=decision.job.strip() or None,
        causes=shown,
        recorded_until=until,
    )
    who, why, logger = decision.who, decision.why, get_run_logger()
    with Ledger(settings().ledger_url()) as ledger:
        if decision.act == Choice.discard:
            return ledger.discard_all(asked, who=who, why=why, batch=batch, at_most=CAP)
        try:
            done = redrive_all(ledger, asked, who=who, why=why, rate=decision.pace, at_most=CAP, batch=batch)
        except (NotFound, ParameterError) as error:
            raise PermanentError(f"{who}'s decision could not be carried out: {error}") from error
    for row, message in done.failed:
        logger.warning("dead letter %s stays: %s", row, message)
    return done.redriven


def _answered() -> Decision | None:
    """The answer that this review got before it was cut off; it is not asked for twice."""
    keys = keyset_from_base_key(f"suspended-{KEY}")
    given: Any = read_flow_run_input(keys["response"], flow_run_id=_run_id())
    return Decision(**given) if given else None


def _batch() -> UUID:
    """The id of all that this review does, the same when it is started again."""
    return uuid5(_run_id(), KEY)


def _run_id() -> UUID:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise PermanentError("a review decides only as a run of its deployment")
    return context.flow_run.id


def _row(group: Group, run_id: str) -> dict[str, Any]:
    return {
        "cause": group.fingerprint,
        "count": group.open,
        "error": markdown(group.error_type),
        "message": markdown(_shortened(group.message)),
        "job types": markdown(", ".join(group.jobs)),
        "first seen": f"{group.first_seen:%Y-%m-%d %H:%M}Z",
        "last seen": f"{group.last_seen:%Y-%m-%d %H:%M}Z",
        "sample": f"[open run]({settings().run_url(run_id)})",
    }


def _summary(groups: list[Group], total: int) -> str:
    if not groups:
        return "## No open dead letters\n\nEvery accepted job completed, waits, runs, or was settled by a person."
    lines = [f"## {counted(total, 'open dead letter')}, {counted(len(groups), 'cause')}\n"]
    for group in groups[:10]:
        since = datetime.now(UTC) - group.first_seen
        lines.append(
            f"- **{group.open} × {markdown(group.error_type)}** in {markdown(', '.join(group.jobs))}, for {_days(since)}: "
            f"{markdown(_shortened(group.message))}  \n  `redrive dead redrive --fingerprint {group.fingerprint} --rate 5/s`"
        )
    lines.append("\nTo decide here, run the deployment *dead-letter-review* and resume it with the form.")
    return "\n".join(lines)


def _shortened(message: str) -> str:
    words = " ".join(message.split())
    return words if len(words) <= MESSAGE_WIDTH else words[: MESSAGE_WIDTH - 1] + "…"


def _question(reviewed: Reviewed) -> str:
    # Prefect's form shows the first line only.
    return f"**{_counted(reviewed)}**: see this run's artifacts."


def _counted(reviewed: Reviewed) -> str:
    return f"{counted(reviewed.open, 'open dead letter')} of {counted(reviewed.causes, 'cause')}"


def _days(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} h" if hours >= 1 else f"{hours * 60:.0f} min"  # noqa: PLR2004
