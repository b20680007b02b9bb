"""How long a worker was silent: counted only while the API answered."""

from __future__ import annotations

from redrive.infra.keeper.lease import HeartbeatTimer

GAP = 10.0


def test_unchanged_sign_is_no_sign() -> None:
    timer = HeartbeatTimer()
    for now in (0.0, 3.0, 6.0):
        timer.sample({"w": "10:00"}, now=now, longest_gap=GAP)

    assert timer.of("w") == 6


def test_changed_sign_ends_it() -> None:
    timer = HeartbeatTimer()
    timer.sample({"w": "10:00"}, now=0, longest_gap=GAP)
    timer.sample({"w": "10:00"}, now=5, longest_gap=GAP)
    timer.sample({"w": "10:01"}, now=8, longest_gap=GAP)

    assert timer.of("w") == 0


def test_first_sample_measures_no_silence() -> None:
    timer = HeartbeatTimer()
    timer.sample({"w": "an hour ago"}, now=1000, longest_gap=GAP)

    assert timer.of("w") == 0


def test_an_outage_does_not_count_nor_as_much_again() -> None:
    """A worker that was cut off for nine seconds may take as long until its next heartbeat."""
    timer = HeartbeatTimer()
    timer.sample({"w": "10:00"}, now=0, longest_gap=GAP)
    timer.missed()
    for now in (9, 12, 15, 17):
        timer.sample({"w": "10:00"}, now=now, longest_gap=GAP)
    assert timer.of("w") == 0

    timer.sample({"w": "10:00"}, now=19, longest_gap=GAP)

    # From second 18 on.
    assert timer.of("w") == 1


def test_a_keeper_that_was_stopped_itself_counts_nothing() -> None:
    timer = HeartbeatTimer()
    timer.sample({"w": "10:00"}, now=0, longest_gap=GAP)
    timer.sample({"w": "10:00"}, now=600, longest_gap=GAP)

    assert timer.of("w") == 0


def test_worker_that_prefect_forgot_is_silent_too() -> None:
    timer = HeartbeatTimer()
    timer.sample({"w": None}, now=0, longest_gap=GAP)
    timer.sample({"w": None}, now=7, longest_gap=GAP)

    assert timer.of("w") == 7


def test_worker_never_seen_is_not_silent() -> None:
    assert HeartbeatTimer().of("nobody") == 0


def test_sweeps_of_a_busy_keeper_count_as_long_as_it_was_answered_between_them() -> None:
    """Ten seconds a sweep, on a machine that is busy: each of its questions is answered, so both were there all the time."""
    timer = HeartbeatTimer()

    for at in range(0, 41, 10):
        timer.sample({"w": 1}, now=at, longest_gap=7.5)
        timer.answered(now=at + 5, longest_gap=7.5)

    assert timer.of("w") == 40


def test_keeper_that_was_stopped_between_two_answers_counts_nothing_of_it() -> None:
    timer = HeartbeatTimer()
    timer.sample({"w": 1}, now=0, longest_gap=7.5)

    timer.answered(now=20, longest_gap=7.5)
    timer.sample({"w": 1}, now=25, longest_gap=7.5)
    assert timer.of("w") == 0

    # As much again has to pass, for workers that wait as long before they ask again.
    timer.answered(now=32, longest_gap=7.5)
    timer.answered(now=39, longest_gap=7.5)
    timer.sample({"w": 1}, now=45, longest_gap=7.5)
    assert timer.of("w") == 5
