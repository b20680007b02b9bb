"""What watches, schedules and stores is killed or stopped: the keeper, the Prefect server, PostgreSQL."""

from __future__ import annotations

import pytest

from tests.chaos.fault_stack import OUTAGE, PATIENCE, FaultStack, pass_by
from tests.chaos.trial import Fault, Trial
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(3600), pytest.mark.slow]


def keeper(trial: Trial) -> None:
    """Killed while it has something to rescue."""
    trial.wait_for_live()
    trial.stack.kill_worker(with_children=True)
    trial.stack.kill_component("keeper")


def two_keepers(trial: Trial) -> None:
    """A second one, for the rest of the trial; both see the same death."""
    trial.stack.start_keeper()
    trial.wait_for_live()
    trial.stack.kill_worker(with_children=True)


def prefect_server(trial: Trial) -> None:
    trial.wait_for_live()
    killed = trial.stack.kill_component("prefect")
    wait_until(lambda: trial.stack.pid("prefect") not in {0, killed}, PATIENCE, "the server to be started again")
    trial.stack.wait_whole()


def postgres_frozen(trial: Trial) -> None:
    trial.wait_for_live()
    with trial.stack.frozen(*trial.stack.postgres_processes()):
        pass_by(OUTAGE)


def postgres_stopped(trial: Trial) -> None:
    trial.wait_for_live()
    trial.stack.stop_component("postgres")
    pass_by(OUTAGE)
    trial.stack.start_component("postgres")
    trial.stack.wait_whole()


FAULTS: list[Fault] = [keeper, two_keepers, prefect_server, postgres_frozen, postgres_stopped]


def test_services_unavailable(stack: FaultStack) -> None:
    trial = Trial(stack, 20, seed=2)

    for fault in FAULTS:
        fault(trial)

    print(trial.check())


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS)
def test_services_unavailable_soak(stack: FaultStack, fault: Fault) -> None:
    trial = Trial(stack, 100, seed=3)

    trial.wait_for_stage(0.3)
    fault(trial)

    print(fault.__name__, trial.check())
