"""The alerts of the queues: what each looks at, and what it tells the person it wakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from redrive.dashboards.alerts.limits import FailureRate, seconds
from redrive.dashboards.alerts.rule import Rule, also, increase, now, rule, unless_paused
from redrive.dashboards.alerts.running_rules import not_starting, oldest_running, rescue_storm
from redrive.dashboards.alerts.thresholds import JobTypeThresholds, QueueThresholds, Thresholds

_OPEN = 'status="open"'


def queue_rules(thresholds: Thresholds) -> list[Rule]:
    """Every alert of the queues; once for all queues that share its thresholds, once more for each that differs."""
    found: list[Rule] = []
    makers = _OF_A_QUEUE | {"dead_letter_age": partial(_dead_letter_age, apart=sorted(thresholds.job_types))}
    for part, make in makers.items():
        common = getattr(thresholds.every_queue, part)
        apart = {name: one for name, one in thresholds.queues.items() if getattr(one, part) != common}
        # Queues nobody named have thresholds too.
        selector = f'queue!~"{"|".join(sorted(apart))}"' if apart else ""
        found.extend(make(selector, thresholds.every_queue))
        for name, one in apart.items():
            # The series has this label already; said here, promtool knows the rules apart.
            labelled = {"queue": name}
            found.extend(
                rule.model_copy(update={"labels": {**rule.labels, **labelled}}) for rule in make(f'queue="{name}"', one)
            )
    for job, own in thresholds.job_types.items():
        found.append(_job_dead_letter_age(job, own))
    return found


def _depth(where: str, limits: QueueThresholds) -> Iterator[Rule]:
    yield rule(
        "RedriveQueueDeep",
        f"{now('queue_jobs_waiting', where)} > {limits.depth.jobs}\n{unless_paused(where)}",
        limits.depth,
        summary="Queue {{ $labels.queue }}: {{ $value }} jobs are due and not started. "
        "See them with `redrive jobs list --queue {{ $labels.queue }} --state waiting`; give the queue more slots if they are wanted.",
        description=f"More than {limits.depth.jobs:,} jobs wait, for {limits.depth.hold}: they come in faster than they are worked off.",
    )


def _oldest_waiting(where: str, limits: QueueThresholds) -> Iterator[Rule]:
    age = limits.oldest_waiting.age
    yield rule(
        "RedriveOldestWaiting",
        f"{now('queue_oldest_waiting_seconds', where)} > {seconds(age):g}\n{unless_paused(where)}",
        limits.oldest_waiting,
        summary="Queue {{ $labels.queue }}: a job has been due for {{ $value | humanizeDuration }} and has not started. "
        "See what holds the slots with `redrive jobs list --state running`, and the workers with `redrive status`.",
        description=f"Jobs of this queue shall start within {age} of their time. Jobs scheduled for later do not count.",
    )


def _nothing_finished(where: str, limits: QueueThresholds) -> Iterator[Rule]:
    age = limits.nothing_finished.age
    yield rule(
        "RedriveNothingFinished",
        f"{now('queue_oldest_waiting_seconds', where)} > {seconds(age):g}\n"
        f"unless on (queue)\n"
        f"  (time() - {now('queue_last_finished_timestamp_seconds', where)} <= {seconds(age):g})\n"
        f"{unless_paused(where)}",
        limits.nothing_finished,
        summary="Queue {{ $labels.queue }}: work has been due for {{ $value | humanizeDuration }} and nothing finished in that time. "
        "Look for stuck jobs with `redrive jobs list --state running --queue {{ $labels.queue }}`; end one with `redrive jobs cancel ID`.",
        description=f"Nothing of this queue ended, well or badly, for {age}, although a job was due all that time.",
    )


def _no_worker(where: str, limits: QueueThresholds) -> Iterator[Rule]:
    yield rule(
        "RedriveNoWorker",
        f"{now('queue_jobs_waiting', where)} > 0\n"
        f"unless on (queue)\n"
        f"  ({now('queue_workers', where)} > 0)\n"
        f"{unless_paused(where)}",
        limits.no_worker,
        summary="Queue {{ $labels.queue }}: {{ $value }} jobs are due and no worker serves the queue. "
        "See why with `redrive status`; `redrive up` starts the worker of this machine.",
        description="No worker of the work pool has sent a heartbeat lately. No job is lost; nothing starts either.",
    )


def _paused(where: str, limits: QueueThresholds) -> Iterator[Rule]:
    age = limits.paused.age
    yield rule(
        "RedrivePausedTooLong",
        f"{now('queue_paused_seconds', where)} > {seconds(age):g}",
        limits.paused,
        summary="Queue {{ $labels.queue }} has been paused for {{ $value | humanizeDuration }}. "
        "Was it forgotten? Start it again with `redrive queues resume {{ $labels.queue }}`; see what waits with `redrive queues list`.",
        description=f"A pause of this queue shall end within {age}. While it is paused, its other alerts on waiting jobs are silent.",
    )


def _failure_rate(where: str, limits: QueueThresholds) -> Iterator[Rule]:
    rate = limits.failure_rate
    for window in rate.windows:
        yield rule(
            "RedriveFailureRate",
            f"{_failed_share(where, window.long)} > {rate.limit(window):g}\n"
            f"and on (queue)\n"
            f"  {_failed_share(where, window.short)} > {rate.limit(window):g}\n"
            f"and on (queue)\n"
            # `increase` extrapolates: two failures at the edge of a window read as 1.9.
            f"  round({increase('queue_jobs_failed_total', where, window.long)}) >= {rate.at_least}",
            window,
            summary=f"Queue {{{{ $labels.queue }}}}: {{{{ $value | humanizePercentage }}}} of the jobs "
            f"that finished in the last {window.long} "
            "became dead letters. "
            "See the causes with `redrive dead groups --queue {{ $labels.queue }}`; once fixed, "
            "`redrive dead redrive --fingerprint CAUSE`.",
            description=_budget(rate, window.burn, window.long, window.short),
            labels={"window": window.long},
        )


def _failed_share(where: str, window: str) -> str:
    failed = increase("queue_jobs_failed_total", where, window)
    return f"{failed} / {increase('queue_jobs_total', where, window)}"


def _budget(rate: FailureRate, burn: float, long: str, short: str) -> str:
    return (
        f"The budget is {1 - rate.objective:.3g} of the finished jobs; it is used up {burn:g} times as fast as it may be, "
        f"over {long} and still over {short}."
    )


def _retry_storm(where: str, limits: QueueThresholds) -> Iterator[Rule]:
    storm = limits.retry_storm
    retries = increase("queue_job_retries_total", where, storm.window)
    yield rule(
        "RedriveRetryStorm",
        f"round({retries}) >= {storm.at_least}\n"
        f"unless on (queue)\n"
        f"  {retries} <= {storm.per_job:g} * {increase('queue_jobs_total', where, storm.window)}",
        storm,
        summary=f"Queue {{{{ $labels.queue }}}}: {{{{ $value }}}} retries in the last {storm.window}, "
        f"more than {storm.per_job:g} for each finished job. "
        "See whose with `redrive jobs list --state retrying --queue {{ $labels.queue }}`; while an outside system is down, "
        "`redrive queues pause {{ $labels.queue }}` keeps the tries for later.",
        description="Something that jobs need is failing. Nothing is lost yet: what spends its tries will be a dead letter.",
    )


def _dead_letters(where: str, limits: QueueThresholds) -> Iterator[Rule]:
    yield rule(
        "RedriveDeadLetters",
        f"{now('queue_dead_letters', also(where, _OPEN))} > {limits.dead_letters.open}",
        limits.dead_letters,
        summary="Queue {{ $labels.queue }}: {{ $value }} dead letters are open. See the causes with "
        "`redrive dead groups --queue {{ $labels.queue }}`; then `redrive dead redrive` or `redrive dead discard`.",
        description=f"More than {limits.dead_letters.open} are open. The alert ends when somebody acted on them, not when time has passed.",
        dashboard="redrive-dead-letters",
    )


def _dead_letter_age(where: str, limits: QueueThresholds, apart: Sequence[str]) -> Iterator[Rule]:
    age = limits.dead_letter_age.age
    # Job types with a patience of their own, longer or shorter, have a rule of their own.
    oldest = (
        now("queue_job_dead_letter_oldest_seconds", also(where, f'job!~"{"|".join(apart)}"'))
        if apart
        else now("queue_dead_letter_oldest_seconds", where)
    )
    yield rule(
        "RedriveDeadLetterOld",
        f"{oldest} > {seconds(age):g}",
        limits.dead_letter_age,
        summary="Queue {{ $labels.queue }}: a dead letter has been open for {{ $value | humanizeDuration }} and nobody has acted on it. "
        "`redrive dead list --queue {{ $labels.queue }}` shows it; redrive it, or discard it with `--why`.",
        description=f"Every dead letter of this queue shall be looked at within {age}.",
        dashboard="redrive-dead-letters",
    )


def _job_dead_letter_age(job: str, limits: JobTypeThresholds) -> Rule:
    age = limits.dead_letter_age.age
    return rule(
        "RedriveDeadLetterOld",
        f'max by (queue, job) (queue_job_dead_letter_oldest_seconds{{job="{job}"}}) > {seconds(age):g}',
        limits.dead_letter_age,
        summary="Job type {{ $labels.job }}: a dead letter has been open for {{ $value | humanizeDuration }} and nobody has acted on it. "
        "`redrive dead list --job {{ $labels.job }}` shows it; redrive it, or discard it with `--why`.",
        description=f"Every dead letter of this job type shall be looked at within {age}, in whichever queue it was.",
        dashboard="redrive-dead-letters",
        labels={"job": job},
    )


_OF_A_QUEUE: dict[str, Callable[[str, QueueThresholds], Iterator[Rule]]] = {
    "depth": _depth,
    "oldest_waiting": _oldest_waiting,
    "nothing_finished": _nothing_finished,
    "no_worker": _no_worker,
    "paused": _paused,
    "failure_rate": _failure_rate,
    "retry_storm": _retry_storm,
    "rescue_storm": rescue_storm,
    "not_starting": not_starting,
    "oldest_running": oldest_running,
    "dead_letters": _dead_letters,
}
