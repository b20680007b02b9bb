"""When the alerts of dead letters, running jobs, the keeper and the exporter fire."""

from __future__ import annotations

from tests.support.alert_series import (
    AUDIT_AGE,
    DEAD,
    DONE,
    QUIET,
    RESCUE_AGE,
    RESCUES,
    Scenario,
    growing,
    of,
    steady,
    then,
)

OF_JOBS = [
    Scenario(
        "dead letters: fires above its number, clears when they were acted on",
        {of("dead_letters", more=',status="open"'): then(steady(11), 30, steady(10))},
        {9: set(), 11: {"RedriveDeadLetters default"}, 31: set()},
    ),
    Scenario(
        "dead letters: closed ones do not count",
        {of("dead_letters", more=',status="discarded"'): steady(5_000)},
        {60: set()},
    ),
    Scenario(
        "an old dead letter is told of, and no more once it is closed",
        {of("job_dead_letter_oldest_seconds", "high", ',job="sync"'): then(growing(60), 300, "_x400")},
        {240: set(), 247: {"RedriveDeadLetterOld high"}, 306: set()},
    ),
    Scenario(
        "an old dead letter: a job type with a patience of its own is told of by that, and by no other",
        {of("job_dead_letter_oldest_seconds", queue, ',job="reports"'): growing(60) for queue in ("high", "default")},
        {
            239: set(),
            247: {"RedriveDeadLetterOld high reports", "RedriveDeadLetterOld default reports"},
            599: {"RedriveDeadLetterOld high reports", "RedriveDeadLetterOld default reports"},
        },
    ),
    Scenario(
        "an old dead letter: each queue by its own patience",
        {
            of("job_dead_letter_oldest_seconds", "default", ',job="sync"'): then(steady(86_000), 30, steady(86_500)),
            of("job_dead_letter_oldest_seconds", "low", ',job="sync"'): then(steady(259_000), 30, steady(260_000)),
        },
        {29: set(), 34: set(), 36: {"RedriveDeadLetterOld default", "RedriveDeadLetterOld low"}},
    ),
    Scenario(
        "an old dead letter: that of an urgent job type is no matter of its queue",
        {
            of("job_dead_letter_oldest_seconds", queue, ',job="reports"'): steady(10**6)
            for queue in ("high", "default", "low")
        },
        {10: {f"RedriveDeadLetterOld {queue} reports" for queue in ("high", "default", "low")}},
    ),
    Scenario(
        "oldest running: a queue of long jobs has a long patience",
        {of("oldest_running_seconds", "low"): then(steady(86_000), 30, steady(86_500))},
        {29: set(), 34: set(), 36: {"RedriveOldestRunning low"}},
    ),
    Scenario(
        "rescue storm: fires while rescues outnumber what finishes, and ends with them",
        {DONE: growing(1), RESCUES: then(growing(3, 20), 40, steady(137))},
        {2: set(), 6: {"RedriveRescueStorm default"}, 39: {"RedriveRescueStorm default"}, 56: set()},
    ),
    Scenario(
        "rescue storm: when nothing finishes any more it fires too",
        {DONE: None, DEAD: None, RESCUES: growing(1)},
        {12: {"RedriveRescueStorm default"}},
    ),
    Scenario(
        "rescue storm: some rescues among many jobs are a machine that was restarted",
        {DONE: growing(10), RESCUES: growing(1)},
        {60: set()},
    ),
    Scenario("rescue storm: few rescues are none", {RESCUES: then(steady(20), 30, steady(24))}, {32: set(), 60: set()}),
    Scenario(
        "not starting: a claimed job that does not start is told of, and no more once it does",
        {of("oldest_starting_seconds", "low"): then(growing(60), 10, steady(0))},
        {0: set(), 2: {"RedriveNotStarting low"}, 9: {"RedriveNotStarting low"}, 10: set()},
    ),
    Scenario(
        "not starting: jobs that wait a moment for their process are quiet",
        {of("oldest_starting_seconds"): steady(20), of("jobs_starting"): steady(50)},
        {60: set()},
    ),
    Scenario(
        "oldest running: each queue by its own patience, and no more once it ended",
        {
            of("oldest_running_seconds", queue): then(growing(60), 420, steady(5))
            for queue in ("high", "default", "low")
        },
        {
            60: set(),
            67: {"RedriveOldestRunning high"},
            364: {"RedriveOldestRunning high"},
            367: {"RedriveOldestRunning high", "RedriveOldestRunning default"},
            420: set(),
        },
    ),
]

OF_THE_STACK = [
    Scenario(
        "keeper: a duty that nobody does is told of, and no more once somebody does it",
        {RESCUE_AGE: then(growing(60), 20, steady(3))},
        {2: set(), 4: {"RedriveKeeperLate rescue"}, 19: {"RedriveKeeperLate rescue"}, 20: set()},
    ),
    Scenario(
        "keeper: a duty that comes every ten minutes is late after half an hour",
        {AUDIT_AGE: growing(60)},
        {29: set(), 32: {"RedriveKeeperLate audit"}},
    ),
    Scenario(
        "keeper: a pace that is missing hides no late duty",
        {RESCUE_AGE: growing(60), 'queue_keeper_duty_every_seconds{duty="rescue"}': None},
        {4: {"RedriveKeeperLate rescue"}},
    ),
    Scenario(
        "keeper: of two exporters the one that sees the duty old is heard",
        {
            RESCUE_AGE: None,
            'queue_keeper_duty_age_seconds{duty="rescue",instance="a"}': steady(3),
            'queue_keeper_duty_age_seconds{duty="rescue",instance="b"}': growing(60),
        },
        {4: {"RedriveKeeperLate rescue"}},
    ),
    Scenario(
        "keeper: none that ever worked is told of",
        {RESCUE_AGE: None, AUDIT_AGE: None},
        {0: set(), 1: {"RedriveKeeperLate all"}},
    ),
    Scenario(
        "keeper: an exporter that cannot read the ledger is no missing keeper",
        {RESCUE_AGE: None, AUDIT_AGE: None, "queue_exporter_up": steady(0)},
        {10: {"RedriveExporterBlind"}},
    ),
    Scenario(
        "uncollected failures are told of until they are in the ledger",
        {"queue_uncollected_failures": then(steady(2), 30, steady(0))},
        {9: set(), 11: {"RedriveUncollected"}, 30: set()},
    ),
    Scenario(
        "finds of the audit are told of for an hour",
        {"queue_audit_found_total": then(steady(12), 10, steady(15))},
        {9: set(), 11: {"RedriveAuditFound"}, 60: {"RedriveAuditFound"}, 72: set()},
    ),
    Scenario(
        "schedule: fires for the job type that did not start, clears when it did",
        {'queue_schedule_overdue_seconds{job="sync"}': then(growing(60), 30, steady(0))},
        {10: set(), 13: {"RedriveScheduleMissed sync"}, 31: set()},
    ),
    Scenario(
        "exporter down: silence of all its figures is one alert",
        dict.fromkeys(QUIET) | {'up{job="redrive"}': then(steady(0), 30, steady(1))},
        {1: set(), 3: {"RedriveExporterDown"}, 31: set()},
    ),
    Scenario("exporter not scraped at all", dict.fromkeys(QUIET), {3: {"RedriveExporterDown"}}),
    Scenario(
        "exporter blind: it answers and cannot read",
        {"queue_exporter_up": then(steady(0), 30, steady(1))},
        {0: set(), 2: {"RedriveExporterBlind"}, 31: set()},
    ),
    Scenario(
        "exporter lag: old figures are told of",
        {"queue_exporter_lag_seconds": then(growing(60), 30, steady(1))},
        {3: set(), 5: {"RedriveExporterLag"}, 31: set()},
    ),
]
