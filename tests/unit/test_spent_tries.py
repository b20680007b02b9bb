"""Tries that were spent: shared by the steps that follow their job's policy, apart for each step with its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from redrive.blocks.prefect.labels import OWN_TRIES, TRIES
from redrive.blocks.prefect.run_labels import fresh_count
from redrive.flows.engine.spent import Spent


def test_shared_tries_are_one_label() -> None:
    labels = Spent(1).labels(None, 2)

    assert labels == {TRIES: 2}
    assert Spent.of(labels) == Spent(2)


def test_step_with_its_own_policy_costs_the_others_nothing() -> None:
    labels = Spent(1).labels("patient", 4)

    assert labels[TRIES] == 4, "what people see is the step that failed"
    assert Spent.of(labels).of_step(None) == 1
    assert Spent.of(labels).of_step("patient") == 4
    assert Spent.of(Spent.of(labels).labels(None, 2)) == Spent(2, {"patient": 4})


def test_tries_noted_on_the_way_never_count_less() -> None:
    spent = Spent(2, {"patient": 3}).with_({"a": 1, "b": 4}, {"patient": 0, "other": 2})

    assert spent == Spent(4, {"patient": 3, "other": 2})
    assert Spent.of(spent.labels()) == spent


def test_redrive_counts_all_afresh() -> None:
    labels = Spent(1).labels("patient", 4) | fresh_count(datetime(2026, 1, 1, tzinfo=UTC), death=None)

    assert Spent.of(labels) == Spent()


@pytest.mark.parametrize("written", ["soon", "[1]", '{"a": "many"}', 7])
def test_label_that_cannot_be_read_counts_as_absent(written: object) -> None:
    assert Spent.of({TRIES: 2, OWN_TRIES: written}).shared == 2
