"""How much jobs give way to what guards them."""

from __future__ import annotations

import pytest

from redrive.blocks.core.errors import RedriveError
from redrive.infra.worker.linux import job_nice


@pytest.mark.parametrize(("given", "wanted"), [(None, 5), ("", 5), ("0", 0), ("19", 19)])
def test_environment_says_how_much(monkeypatch: pytest.MonkeyPatch, given: str | None, wanted: int) -> None:
    monkeypatch.delenv("REDRIVE_JOB_NICE", raising=False)
    if given is not None:
        monkeypatch.setenv("REDRIVE_JOB_NICE", given)

    assert job_nice() == wanted


@pytest.mark.parametrize("given", ["20", "-1", "much"])
def test_what_is_no_priority_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("REDRIVE_JOB_NICE", given)

    with pytest.raises(RedriveError, match=f"REDRIVE_JOB_NICE is '{given}': set a whole number from 0 to 19"):
        job_nice()
