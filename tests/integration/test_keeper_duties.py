"""A keeper that works tells so: each of its duties has the time of its last success in the ledger."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from redrive.blocks.core.settings import settings
from redrive.infra.keeper.collecting import Collector
from redrive.infra.keeper.service import Keeper
from tests.support.keeperless import Keeperless
from tests.support.waiting import wait_until

PATIENCE = 60
DUTIES = {"rescue", "collect", "collect widely", "resolve", "unstrand", "bring forward", "audit", "withdraw"}


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object, **__: object) -> None:
        raise LookupError("nobody foresaw this")

    monkeypatch.setattr(Collector, "sweep", fault)


@pytest.fixture
def working(keeperless: Keeperless) -> Iterator[Keeperless]:
    """With a keeper that works until the test ends."""
    stop = threading.Event()
    keeper = threading.Thread(target=Keeper(settings(), keeperless.ledger).run, args=(stop,))
    keeper.start()
    yield keeperless
    stop.set()
    keeper.join()


def done(here: Keeperless) -> set[str]:
    return {one.duty for one in here.ledger.duties() if one.last_success}


def test_each_duty_that_is_done_has_the_time_of_its_success(working: Keeperless) -> None:
    wait_until(lambda: done(working) >= DUTIES, PATIENCE, "every duty to be done")

    assert not [one.duty for one in working.ledger.duties() if one.is_late or one.error]


@pytest.mark.usefixtures("broken")
def test_duty_that_fails_has_its_error_and_no_success_and_the_others_are_done(working: Keeperless) -> None:
    collecting = {"collect", "collect widely"}
    wait_until(lambda: done(working) >= DUTIES - collecting, PATIENCE, "every other duty to be done")

    failed = {one.duty: one.error for one in working.ledger.duties() if one.error}
    assert failed == dict.fromkeys(collecting, "LookupError: nobody foresaw this")
    assert not done(working) & collecting
