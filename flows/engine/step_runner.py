"""Who runs the steps of this process, where it is not Prefect's engine: tests run them in place."""

from __future__ import annotations

from typing import Any, Protocol


class StepRunner(Protocol):
    """Runs a step as the methods of `Task` with these names do. The step is one of `step.py`, which knows this protocol."""

    def call(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...

    def submit(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...

    def map(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...


class _Steps:
    """The steps of this process: they run in Prefect's engine if `runner` is None."""

    runner: StepRunner | None = None


STEPS = _Steps()
