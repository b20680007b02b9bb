"""Every order of what workers, keepers and people may do, against a reference model: no job disappears, none is judged wrongly.

The seed of a failure is printed by Hypothesis (`@reproduce_failure`), and the steps that led to it, as few as it could find.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.model.machine import NoJobDisappears
from tests.chaos.model.world import World, running_world

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(3600), pytest.mark.slow]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world() as world:
        yield world


@pytest.mark.parametrize(
    ("examples", "steps"), [(15, 25), pytest.param(100, 40, marks=pytest.mark.soak)], ids=["small", "large"]
)
def test_every_order_of_events_ends_as_the_reference_says(world: World, examples: int, steps: int) -> None:
    def machine() -> Any:
        NoJobDisappears.world = world
        return NoJobDisappears()

    NoJobDisappears.failures.clear()
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                print_blob=True,
                # To explain a failure costs more than to read it.
                phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
    except Flaky as error:
        # The same steps passed when they were repeated: the order of two things that no step decides.
        raise AssertionError(f"failed once, passed when repeated:\n{NoJobDisappears.failures[0]}") from error
