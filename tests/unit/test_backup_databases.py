"""Which databases a backup holds: all that are ours, and none of somebody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from redrive.blocks.core.settings import Settings
from redrive.infra.backup.backup import databases


@pytest.mark.parametrize("given", [{}, {"REDRIVE_DATABASE_URL": "postgresql://redrive@db/redrive"}])
def test_ledger_prefect_and_warehouse_are_saved(given: dict[str, str], tmp_path: Path) -> None:
    found = databases(Settings.load({"REDRIVE_HOME": str(tmp_path), **given}))

    assert sorted(found) == ["ledger", "prefect", "warehouse"]
    assert len(set(found.values())) == len(found)
    # The login of sync jobs may read its own tables only.
    assert "redrive_sync" not in found["warehouse"]


def test_warehouse_of_somebody_else_is_theirs_to_save(tmp_path: Path) -> None:
    given = {"REDRIVE_HOME": str(tmp_path), "REDRIVE_WAREHOUSE_URL": "postgresql://them@elsewhere/sales"}

    assert sorted(databases(Settings.load(given))) == ["ledger", "prefect"]
