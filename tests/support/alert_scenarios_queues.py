"""When the alerts of queues fire: waiting jobs, workers, pauses, failures, retries."""

from __future__ import annotations

from tests.support.alert_series import (
    DEAD,
    DONE,
    FAILED,
    RETRIES,
    Scenario,
    growing,
    of,
    steady,
    then,
)

OF_QUEUES = [
    Scenario("an idle night is quiet", {}, {1: set(), 60: set(), 480: set()}),
    Scenario(
        "jobs scheduled for later are no backlog",
        {of("jobs_scheduled"): steady(50_000), of("jobs_retrying"): steady(900)},
        {60: set(), 180: set()},
    ),
    Scenario(
        "a morning's first job after an idle night is quiet",
        {
            of("jobs_waiting"): then(steady(0), 300, "1+0x2 0+0x100"),
            of("oldest_waiting_seconds"): then(steady(0), 300, "0+60x2 0+0x100"),
        },
        {301: set(), 303: set(), 310: set()},
    ),
    Scenario(
        "depth: fires after its time and clears when the queue is worked off",
        {of("jobs_waiting"): then(steady(1001), 30, steady(999))},
        {14: set(), 16: {"RedriveQueueDeep default"}, 29: {"RedriveQueueDeep default"}, 31: set()},
    ),
    Scenario("depth: a queue's own threshold holds", {of("jobs_waiting", "low"): steady(9_999)}, {60: set()}),
    Scenario(
        "oldest waiting: the more urgent queue is told of first",
        {
            of("oldest_waiting_seconds", "high"): growing(60),
            of("oldest_waiting_seconds", "default"): growing(60),
            of("last_finished_timestamp_seconds", "high"): growing(60),
            of("last_finished_timestamp_seconds", "default"): growing(60),
        },
        {
            10: set(),
            12: {"RedriveOldestWaiting high"},
            22: {"RedriveOldestWaiting high", "RedriveOldestWaiting default"},
        },
    ),
    Scenario(
        "a queue that nobody named in the thresholds has them all the same",
        {
            of("oldest_waiting_seconds", "night"): growing(60),
            of("last_finished_timestamp_seconds", "night"): growing(60),
        },
        {22: {"RedriveOldestWaiting night"}},
    ),
    Scenario(
        "waiting jobs of a paused queue are quiet, the forgotten pause is not",
        {
            of("jobs_waiting"): steady(5_000),
            of("oldest_waiting_seconds"): growing(60),
            of("paused"): then(steady(1), 200, steady(0)),
            of("paused_seconds"): then(growing(60), 200, steady(0)),
            of("last_finished_timestamp_seconds"): growing(60),
        },
        {60: set(), 119: set(), 123: {"RedrivePausedTooLong default"}, 207: {"RedriveOldestWaiting default"}},
    ),
    Scenario(
        "no worker: fires for the queue with work, not for idle ones",
        {of("jobs_waiting"): then(steady(3), 30, steady(0))}
        | {of("workers", queue): steady(0) for queue in ("high", "default", "low")},
        {1: set(), 3: {"RedriveNoWorker default"}, 29: {"RedriveNoWorker default"}, 30: set()},
    ),
    Scenario(
        "no worker: a figure that is missing is no worker either",
        {of("jobs_waiting"): steady(3), of("workers"): None},
        {3: {"RedriveNoWorker default"}},
    ),
    Scenario("no worker: one that serves the queue is enough", {of("jobs_waiting"): steady(3)}, {60: set()}),
    Scenario(
        "nothing finished: fires while work is due, ends with the first job that does",
        {
            of("jobs_waiting"): steady(4),
            of("oldest_waiting_seconds"): growing(60),
            of("last_finished_timestamp_seconds"): then(steady(0), 60, growing(60, 3600)),
        },
        {
            29: {"RedriveOldestWaiting default"},
            34: {"RedriveOldestWaiting default", "RedriveNothingFinished default"},
            61: {"RedriveOldestWaiting default"},
        },
    ),
    Scenario(
        "nothing finished: a queue that never finished anything counts",
        {
            of("oldest_waiting_seconds"): growing(60),
            of("last_finished_timestamp_seconds"): None,
        },
        {34: {"RedriveOldestWaiting default", "RedriveNothingFinished default"}},
    ),
    Scenario(
        "paused too long: each queue by its own patience",
        {of("paused_seconds", queue): growing(60) for queue in ("high", "default", "low")},
        {
            14: set(),
            18: {"RedrivePausedTooLong high"},
            123: {"RedrivePausedTooLong high", "RedrivePausedTooLong default"},
        },
    ),
    Scenario(
        "failure rate: a fast burn is critical within minutes and ends soon after the failures do",
        {DONE: growing(2), DEAD: then(growing(1), 30, steady(29)), FAILED: then(growing(1), 30, steady(29))},
        {
            2: set(),
            10: {"RedriveFailureRate default 1h", "RedriveFailureRate default 6h"},
            29: {"RedriveFailureRate default 1h", "RedriveFailureRate default 6h"},
            # Failures ended; 5 minutes later the short window is clean, half an hour later the longer one.
            36: {"RedriveFailureRate default 6h"},
            62: set(),
        },
    ),
    Scenario(
        "failure rate: a slow burn is a warning",
        {DONE: growing(9), DEAD: growing(1), FAILED: growing(1)},
        {60: {"RedriveFailureRate default 6h"}},
    ),
    Scenario(
        "failure rate: within the budget is quiet",
        {DONE: growing(99), DEAD: growing(1), FAILED: growing(1)},
        {370: set()},
    ),
    Scenario(
        "failure rate: a single failed job of a quiet night is a dead letter, not a rate",
        {DEAD: then(steady(0), 30, steady(1)), FAILED: then(steady(7), 30, steady(8))},
        {31: set(), 35: set(), 60: set()},
    ),
    Scenario(
        "retry storm: fires while retries outnumber finished jobs, and ends with them",
        {DONE: growing(1), RETRIES: then(growing(10), 40, steady(390))},
        {5: set(), 12: {"RedriveRetryStorm default"}, 39: {"RedriveRetryStorm default"}, 56: set()},
    ),
    Scenario(
        "retry storm: when nothing finishes any more it fires too",
        {DONE: None, DEAD: None, RETRIES: growing(10)},
        {12: {"RedriveRetryStorm default"}},
    ),
    Scenario(
        "retry storm: some retries among many jobs are every day's",
        {DONE: growing(50), RETRIES: growing(10)},
        {60: set()},
    ),
    Scenario("retry storm: few retries are none", {RETRIES: growing(1)}, {60: set()}),
]
