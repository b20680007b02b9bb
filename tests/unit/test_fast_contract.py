"""The fast calls keep the rules of one Prefect: an upgrade that changes them switches the calls off."""

from __future__ import annotations

import pytest

from redrive.infra.server import contract


def test_prefect_is_the_one_that_was_read() -> None:
    changed = [name for name, known in contract.KNOWN.items() if contract.found()[name] != known]

    assert not changed, (
        f"Prefect changed {changed}: read what changed against the table in infra/server/README.md, adapt infra/server, "
        "run tests/integration/test_fast_record.py, and only then write the new hashes into contract.KNOWN"
    )


def test_changed_rules_switch_the_calls_off(monkeypatch: pytest.MonkeyPatch) -> None:
    class Changed(contract.core_policy.CoreFlowPolicy):
        """As an upgrade might bring it."""

    monkeypatch.setattr(contract.core_policy, "CoreFlowPolicy", Changed)

    assert "the policies for runs" in str(contract.broken())


def test_missing_rules_switch_the_calls_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(contract.core_policy, "CoreFlowPolicy")

    assert contract.broken()
