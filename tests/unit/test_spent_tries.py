"""Tries that were spent: shared by the steps that follow their job's policy, apart for each step with its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from redrive.blocks.core.retry import RetryPolicy
from redrive.blocks.prefect.labels import ERROR, ERROR_MESSAGE, OWN_TRIES, REASON, TRIES, Labels
from redrive.blocks.prefect.run_labels import fresh_count, step_that_timed_out, timed_out
from redrive.blocks.prefect.spent_tries import SpentTries
from redrive.infra.worker.conclusion import spent_labels
from redrive.infra.worker.worker_attempt import Deadline

PATIENT = RetryPolicy(max_tries=4).model_dump(mode="json")


def test_shared_tries_are_one_label() -> None:
    labels = SpentTries(1).labels(None, 2)

    assert labels == {TRIES: 2}
    assert SpentTries.of(labels) == SpentTries(2)


def test_step_with_its_own_policy_costs_the_others_nothing() -> None:
    labels = SpentTries(1).labels("patient", 4)

    assert labels[TRIES] == 4, "what people see is the step that failed"
    assert SpentTries.of(labels).of_step(None) == 1
    assert SpentTries.of(labels).of_step("patient") == 4
    assert SpentTries.of(SpentTries.of(labels).labels(None, 2)) == SpentTries(2, {"patient": 4})


def test_tries_noted_on_the_way_never_count_less() -> None:
    spent = SpentTries(2, {"patient": 3}).with_({"a": 1, "b": 4}, {"patient": 0, "other": 2})

    assert spent == SpentTries(4, {"patient": 3, "other": 2})
    assert SpentTries.of(spent.labels()) == spent


def test_redrive_counts_all_afresh() -> None:
    labels = SpentTries(1).labels("patient", 4) | fresh_count(datetime(2026, 1, 1, tzinfo=UTC), death=None)

    assert SpentTries.of(labels) == SpentTries()


@pytest.mark.parametrize("written", ["soon", "[1]", '{"a": "many"}', 7])
def test_label_that_cannot_be_read_counts_as_absent(written: object) -> None:
    assert SpentTries.of({TRIES: 2, OWN_TRIES: written}).shared == 2


def test_redrive_leaves_nothing_of_the_death_before() -> None:
    dead = {REASON: "permanent", ERROR: "OldError", ERROR_MESSAGE: "old", **timed_out(3, step="patient", own=PATIENT)}

    labels = Labels.of(dead | fresh_count(datetime(2026, 1, 1, tzinfo=UTC), death=None))

    assert (labels.reason, labels.error, labels.error_message, labels.hard_timeout) == (None, None, None, 0)
    assert step_that_timed_out(labels) is None


def test_worker_counts_a_killed_steps_tries_apart_if_the_step_does() -> None:
    known = SpentTries(1, {"patient": 2}).labels()

    labels = known | spent_labels(known, {"a-run": 2}, {"patient": 4, "other": 1}, None)

    assert SpentTries.of(labels) == SpentTries(2, {"patient": 4, "other": 1})


def test_worker_writes_nothing_that_is_known_already() -> None:
    known = SpentTries(2, {"patient": 2}).labels()

    assert spent_labels(known, {"a-run": 2}, {"patient": 1}, None) == {}


def test_step_that_outlived_its_timeout_is_named_with_its_own_policy() -> None:
    late = Deadline(step="patient", seconds=2, tries=3, at=0, own=PATIENT)

    labels = Labels.of(spent_labels({}, {}, {"patient": 2}, late))

    assert (labels.hard_timeout, SpentTries.of_run(labels)) == (3, SpentTries(0, {"patient": 2}))
    named = step_that_timed_out(labels)
    assert named is not None
    assert (named[0], RetryPolicy(**named[1])) == ("patient", RetryPolicy(max_tries=4))


@pytest.mark.parametrize("written", ["soon", "[1]", "7", '{"step": "patient"}', '{"step": "patient", "policy": 7}'])
def test_step_that_cannot_be_read_is_none(written: str) -> None:
    assert step_that_timed_out(Labels.of({"redrive.hard_timeout": 1, "redrive.timed_out_step": written})) is None
