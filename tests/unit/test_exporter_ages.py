"""How old things are in a scrape: pauses, dead letters, running jobs, the keeper's duties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from redrive.deployments.dead_letters.ledger import DutyRecord
from tests.support.deaths import a_death
from tests.support.exporter_rig import Rig

SECOND = timedelta(seconds=1)


def test_open_dead_letters_have_an_age_and_closed_ones_none(rig: Rig) -> None:
    row = rig.ledger.record(a_death(job="mail", queue="high", last_failure=datetime.now(UTC) - 60 * SECOND)).id
    assert row
    rig.sample()
    assert rig.scraped()["queue_dead_letter_oldest_seconds", "high"] == pytest.approx(60, abs=5)

    rig.ledger.discard(row, who="ann")
    rig.sample()

    said = rig.scraped()
    assert said["queue_dead_letter_oldest_seconds", "high"] == 0
    assert (said["queue_dead_letters", "high", "open"], said["queue_dead_letters", "high", "discarded"]) == (0, 1)


def test_each_job_type_has_the_age_of_its_oldest_open_dead_letter(rig: Rig) -> None:
    now = datetime.now(UTC)
    for job, queue, minutes in (("mail", "high", 10), ("mail", "high", 90), ("sync", "high", 30), ("mail", "low", 5)):
        rig.ledger.record(a_death(job=job, queue=queue, last_failure=now - timedelta(minutes=minutes)))

    rig.sample()

    said = {key[1:]: value for key, value in rig.scraped().items() if key[0] == "queue_job_dead_letter_oldest_seconds"}
    expected = {("mail", "high"): 5400, ("sync", "high"): 1800, ("mail", "low"): 300}
    assert said == pytest.approx(expected, abs=5)
    assert rig.scraped()["queue_dead_letter_oldest_seconds", "high"] == pytest.approx(5400, abs=5)


def test_running_and_starting_jobs_have_an_age_that_is_their_attempts_own(rig: Rig) -> None:
    now = datetime.now(UTC)
    # It was tried before, hours ago; what runs now began a minute ago.
    rig.api.add("sync", "RUNNING", queue="low", due=now - 7200 * SECOND, since=now - 60 * SECOND)
    rig.api.add("sync", "RUNNING", queue="low", due=now - 600 * SECOND, since=now - 590 * SECOND)
    rig.api.add("mail", "PENDING", queue="low", due=now - 30 * SECOND, since=now - 20 * SECOND, run_count=0)
    rig.api.add("mail", "PENDING", queue="high", due=now - 90 * SECOND, since=now - 80 * SECOND, run_count=0)

    rig.sample()

    said = rig.scraped()
    assert [said["queue_jobs_running", queue] for queue in ("high", "default", "low")] == [1, 0, 3]
    assert [said["queue_jobs_starting", queue] for queue in ("high", "default", "low")] == [1, 0, 1]
    running = [said["queue_oldest_running_seconds", queue] for queue in ("high", "default", "low")]
    assert running == pytest.approx([0, 0, 590], abs=5)
    starting = [said["queue_oldest_starting_seconds", queue] for queue in ("high", "default", "low")]
    assert starting == pytest.approx([80, 0, 20], abs=5)


def test_ages_of_running_jobs_cost_the_same_for_one_as_for_a_thousand(rig: Rig) -> None:
    def asked() -> int:
        before = len(rig.api.calls)
        rig.exporter.attend(rig.exporter.duties[0])
        return len(rig.api.calls) - before

    rig.api.add("sync", "RUNNING", queue="low")
    rig.api.add("sync", "PENDING", queue="low")
    first = asked()
    for _ in range(1000):
        rig.api.add("sync", "RUNNING", queue="low")
        rig.api.add("sync", "PENDING", queue="low")

    assert asked() == first
    assert first <= 4 + 4 + 2, "an idle stack's calls, a queue's counts, and what runs and starts in it"


def test_a_duty_grows_older_while_nobody_records_it(rig: Rig) -> None:
    rig.ledger.duty_done("keeper", DutyRecord(duty="rescue", every=5, succeeded=40, seconds=0.1))

    rig.sample()

    assert rig.scraped()["queue_keeper_duty_age_seconds", "rescue"] == pytest.approx(40, abs=5)
    assert rig.scraped(later=50)["queue_keeper_duty_age_seconds", "rescue"] == pytest.approx(90, abs=5)


def test_without_a_keeper_no_duty_has_an_age(rig: Rig) -> None:
    rig.sample()

    assert not [key for key in rig.scraped() if key[0] == "queue_keeper_duty_age_seconds"]


def test_what_the_audit_found_is_reported(rig: Rig) -> None:
    rig.sample()
    before = rig.scraped()
    rig.ledger.audited(found=3, uncollected=1)

    rig.sample()

    assert (before["queue_audit_found_total",], before["queue_uncollected_failures",]) == (0, 0)
    assert (rig.scraped()["queue_audit_found_total",], rig.scraped()["queue_uncollected_failures",]) == (3, 1)
