"""Prefect's base of a worker, with the private names that a worker of our own needs under public ones."""

from __future__ import annotations

import abc
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from prefect.client.schemas.objects import WorkPool
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult

Configuration = TypeVar("Configuration", bound=BaseJobConfiguration)
Variables = TypeVar("Variables", bound=BaseVariables)
Result = TypeVar("Result", bound=BaseWorkerResult)


class OwnWorker(BaseWorker[Configuration, Variables, Result], abc.ABC):
    """A worker that looks for work and hears of cancellations by itself."""

    #: What Prefect shows of this type of worker.
    title: ClassVar[str] = ""
    description: ClassVar[str] = ""

    _display_name: ClassVar[str] = ""
    _documentation_url = "https://docs.prefect.io/v3/concepts/workers"

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._display_name = cls.title
        cls._description = cls.description

    @property
    def pool(self) -> WorkPool | None:
        """The work pool; None until it is known."""
        return self._work_pool

    @property
    def pool_name(self) -> str:
        """The name of the work pool."""
        return self._work_pool_name

    @property
    def queues(self) -> list[str]:
        """Names of the queues that it serves; empty for all."""
        return sorted(self._work_queues)

    @property
    def limit(self) -> int | None:
        """How many jobs at once; None if the pool says."""
        return self._limit

    @property
    def log(self) -> Any:
        """Prefect's logger, which adds who this worker is."""
        return self._logger

    def polled(self, at: datetime) -> None:
        """The API answered: its health check goes by this time."""
        self._last_polled_time = at

    async def _setup_cancellation_observer(self) -> None:
        """Prefect's own stream of cancellations is not opened: a stream of ours tells more."""
