"""A future that is done already, as Prefect's own functions take it.

Danger: Prefect's `wait` and `as_completed` read the private `_final_state` of a future.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect.futures import PrefectFuture, PrefectFutureList
from prefect.states import Completed


class Settled(PrefectFuture[Any]):
    """A future of a step that ran when it was submitted."""

    def __init__(self, value: Any) -> None:
        self.value = value
        #: Prefect's own `wait` and `as_completed` read it.
        self._final_state = Completed(data=value)

    @property
    def task_run_id(self) -> Any:
        return None

    @property
    def state(self) -> Any:
        return self._final_state

    def wait(self, timeout: float | None = None) -> None:
        """It is done."""

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> Any:  # noqa: FBT001, FBT002  (Prefect's signature)
        """What the step returned."""
        del timeout, raise_on_failure
        return self.value

    def add_done_callback(self, fn: Callable[[PrefectFuture[Any]], None]) -> None:
        """It is done."""
        fn(self)


class FutureList(PrefectFutureList[Any]):
    """As `Task.map` returns it."""

    def __next__(self) -> Any:
        """Of an iterator, which a list is not; Prefect's own types have it."""
        raise TypeError
