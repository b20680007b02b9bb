"""A job type: one kind of work that can be asked for, as data.

Danger: the entrypoint is a string on purpose; whoever enqueues must never load what the work itself needs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypedDict, Unpack

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from redrive.blocks.core.container import Container
from redrive.blocks.core.durations import megabytes
from redrive.blocks.core.errors import CatalogError
from redrive.blocks.core.first_fault import first_fault
from redrive.blocks.core.retry import RetryPolicy
from redrive.deployments.schedule import Schedule

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ENTRYPOINT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


class JobFields(TypedDict, total=False):
    """What a job type may be given besides its name and its work: here and on the decorator `job`."""

    description: str
    policy: RetryPolicy
    queue: str
    pool: Literal["jobs", "ops"]
    parameters: dict[str, Any]
    schedules: Sequence[Schedule]
    tags: Sequence[str]
    memory: int | str | None
    isolation: Literal["reuse", "run", "container"] | None
    container: Container | None
    owner: str
    runbook: str


class JobType(BaseModel):
    """One kind of work.

    Args:
        name: `[a-z0-9-]`; also the name of its flow and of its deployment.
        entrypoint: `module.function` of the flow.
        policy: how it is retried; `retry-policy/<name>` saved in Prefect overrides it.
        queue: `high`, `default`, `low`, or one of your own (setting `REDRIVE_QUEUES`).
        pool: work pool; `ops` for housekeeping, which never enters the ledger.
        parameters: defaults over those of the flow's signature.
        memory: what a job and what it starts may have before the warm worker kills it: megabytes, or text like `500MB` and `2GB`;
            None for no limit. The job variable `memory_limit` of its deployment in Prefect overrides it.
        isolation: `reuse`: warm processes that run many jobs; `run`: a process for each job; `container`: a container for each job;
            None: as the pool says.
        container: image, processors, network, folders and environment of that container; without it there is none.
        owner: who cares for it: a team, a person, an address.
        runbook: address of what to do when it fails.

    Raises:
        CatalogError: a value that does not fit; the message names it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    entrypoint: str
    description: str = ""
    policy: RetryPolicy = Field(default_factory=RetryPolicy)
    queue: str = "default"
    pool: Literal["jobs", "ops"] = "jobs"
    parameters: dict[str, Any] = Field(default_factory=dict)
    schedules: tuple[Schedule, ...] = ()
    tags: tuple[str, ...] = ()
    memory: Annotated[
        int | None, BeforeValidator(lambda value: megabytes(value) if isinstance(value, str) else value)
    ] = Field(None, ge=32)
    isolation: Literal["reuse", "run", "container"] | None = None
    container: Container | None = None
    owner: str = ""
    runbook: str = ""

    if TYPE_CHECKING:

        def __init__(self, name: str, *, entrypoint: str, **fields: Unpack[JobFields]) -> None: ...

    else:

        def __init__(self, name: str | None = None, **values: Any) -> None:
            try:
                super().__init__(**({"name": name} if name is not None else {}), **values)
            except ValidationError as error:
                fault = first_fault(error, type(self).model_fields, what="a job type")
                raise CatalogError(f"job type {name!r}: {fault}") from None

    @model_validator(mode="after")
    def _well_named(self) -> Self:
        if not _NAME.fullmatch(self.name):
            raise ValueError("a name is made of lower-case letters, digits and single dashes, like `monthly-report`")
        if not _ENTRYPOINT.fullmatch(self.entrypoint):
            raise ValueError(f"entrypoint {self.entrypoint!r} must be `module.function`, like `my_jobs.greet`")
        if self.isolation == "container" and self.container is None:
            raise ValueError('isolation="container" needs its image: container=Container(image="…")')
        if self.container is not None and self.isolation != "container":
            raise ValueError('a container is only for isolation="container"')
        return self

    @property
    def job_variables(self) -> dict[str, Any]:
        """What its deployment tells the worker."""
        message = {"memory_limit": self.memory, "isolation": self.isolation}
        contained = (
            {"container": self.container.model_dump(mode="json", exclude_defaults=True)} if self.container else {}
        )
        return {name: value for name, value in message.items() if value is not None} | contained

    @property
    def deployment(self) -> str:
        """Name of its deployment as Prefect's commands take it: `flow/deployment`."""
        return f"{self.name}/{self.name}"
