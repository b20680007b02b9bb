"""The alerts of the keeper: whoever guards the jobs is guarded too.

Danger: an age that is missing must not look like a duty that was done.
"""

from __future__ import annotations

from collections.abc import Iterator

from redrive.dashboards.alerts.limits import seconds
from redrive.dashboards.alerts.rule import Rule, rule
from redrive.dashboards.alerts.thresholds import Thresholds
from redrive.deployments.health.keeper_health import TITLES

_AGE = "queue_keeper_duty_age_seconds"
_EVERY = "queue_keeper_duty_every_seconds"
#: A duty as people read it.
_DUTY = (
    "".join(f'{{{{ if eq $labels.duty "{name}" }}}}{title}{{{{ else }}}}' for name, title in TITLES.items())
    + "{{ $labels.duty }}"
    + "{{ end }}" * len(TITLES)
)


def keeper_rules(thresholds: Thresholds) -> Iterator[Rule]:
    """Every alert of the keeper."""
    yield from _late(thresholds)
    limits = thresholds.keeper
    yield rule(
        "RedriveUncollected",
        "max(queue_uncollected_failures) > 0",
        limits.uncollected,
        summary="{{ $value }} failed jobs are not in the ledger, and the keeper cannot put them there. "
        "`redrive check` says how the keeper is; its log names each of them.",
        description="Every failed job shall be a dead letter. These are in Prefect only: nobody sees them, nobody can redrive them.",
        dashboard="redrive-platform",
        variable="",
    )
    window = limits.audit_found.window
    yield rule(
        "RedriveAuditFound",
        # `increase` extrapolates.
        f"round(max(increase(queue_audit_found_total[{window}]))) > 0",
        limits.audit_found,
        summary=f"The keeper's audit found {{{{ $value }}}} failed jobs in the last {window} that had been missed. "
        "They are dead letters now: `redrive dead list` shows them.",
        description="Nothing is lost, but they came late. A long outage of the keeper or the ledger does this; without one it is a defect.",
        dashboard="redrive-platform",
        variable="",
    )


def _late(thresholds: Thresholds) -> Iterator[Rule]:
    late = thresholds.keeper.late
    yield rule(
        "RedriveKeeperLate",
        f"max by (duty) ({_AGE}) > {seconds(late.age):g}\n"
        f"unless on (duty)\n"
        f"  (max by (duty) ({_AGE}) <= {late.rounds:g} * max by (duty) ({_EVERY}))",
        late,
        summary=f"Keeper: duty {_DUTY} was last done {{{{ $value | humanizeDuration }}}} ago. "
        "Jobs of dead workers stay where they are, and dead letters are not collected. "
        "`redrive check` says which duties and why; `redrive status` shows the keeper.",
        description=f"Some keeper shall do each duty within {late.age}, or within {late.rounds:g} of its rounds. "
        "A keeper that is frozen or hangs looks alive otherwise.",
        dashboard="redrive-platform",
        variable="",
    )
    yield rule(
        "RedriveKeeperLate",
        f"absent({_AGE})\nand on ()\n  max(queue_exporter_up) == 1",
        late,
        summary="Keeper: none has ever worked with this ledger. "
        "Jobs of dead workers stay where they are, and dead letters are not collected. "
        "`redrive status` shows the keeper; `redrive up` starts it.",
        description="The exporter reads the ledger, and the ledger knows of no keeper.",
        dashboard="redrive-platform",
        variable="",
        labels={"duty": "all"},
    )
