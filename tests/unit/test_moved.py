"""Names of modules from before the house was rebuilt: deployments, stored results and job modules still use them."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys

import pytest

from redrive import moved
from redrive.blocks.core.payloads import SyncResult

pytestmark = pytest.mark.filterwarnings("ignore:redrive:DeprecationWarning")


@pytest.mark.parametrize("old", moved.MOVED)
def test_module_is_one_and_the_same_under_both_names(old: str) -> None:
    before, now = f"redrive.{old}", f"redrive.{moved.MOVED[old]}"

    assert importlib.import_module(before) is importlib.import_module(now)
    spec = importlib.import_module(now).__spec__
    assert spec is not None
    assert spec.name == now


def test_module_in_a_moved_package_is_one_and_the_same() -> None:
    old = importlib.import_module("redrive.deployments.ledger.filters")

    assert old is importlib.import_module("redrive.deployments.dead_letters.ledger.filters")


@pytest.mark.parametrize(
    "entrypoint",
    [
        "redrive.flows.documents.documents",
        "redrive.flows.sync.sync",
        "redrive.flows.reports.reports",
        "redrive.flows.mail.mail",
        "redrive.flows.dead_letters.dead_letter_review",
        "redrive.flows.prune.prune",
    ],
)
def test_flow_of_a_deployment_made_before_is_found(entrypoint: str) -> None:
    module, _, name = entrypoint.rpartition(".")

    assert getattr(importlib.import_module(module), name).name == name.replace("_", "-")


def test_result_pickled_under_an_old_name_is_read() -> None:
    now = pickle.dumps(SyncResult, protocol=0)
    before = now.replace(b"redrive.blocks.core.payloads", b"redrive.blocks.payloads")

    assert before != now
    assert pickle.loads(before) is SyncResult  # noqa: S301  (made here)


def test_old_name_warns_and_says_the_new_one() -> None:
    code = "import redrive.blocks.errors"
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True)

    assert "redrive.blocks.errors is redrive.blocks.core.errors now" in done.stderr


def test_unknown_module_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("redrive.flows.never_was")
