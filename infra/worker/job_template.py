"""What can be set on a warm work pool, and overridden by a deployment: the form that Prefect's UI shows under "Base Job Template".

Danger: Prefect's server checks every run's variables against this schema when it is created, which is much of what creating
a run costs: each field here is paid for by every job.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from prefect.workers.base import BaseJobConfiguration
from pydantic import BaseModel, BeforeValidator, Field, model_validator

from redrive.blocks.core.container import Container

Isolation = Literal["reuse", "run", "container"]

MEGABYTE = 1024 * 1024


def _words(value: Any) -> Any:
    """A list, or one text with commas as a person writes it."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


class WarmVariables(BaseModel):
    """The form. What belongs to the pool as a whole is read from its defaults when a worker starts."""

    env: dict[str, str | None] = Field(
        default_factory=dict,
        title="Environment",
        description="Environment variables of a job, over those of the worker. An empty value takes one away.",
    )
    working_dir: str | None = Field(
        default=None,
        title="Working directory",
        description="Folder a job runs in. Default: an empty one of its own, removed after it.",
    )
    isolation: Isolation = Field(
        default="reuse",
        title="Isolation",
        description="`reuse`: a process runs many jobs one after another, and is replaced when one left something behind "
        "(modules and their globals stay). `run`: a process for each job. `container`: a container for each job.",
    )
    timeout: float | None = Field(
        default=None,
        gt=0,
        title="Hard timeout",
        description="Seconds after which a job's process is killed, whatever it does.",
    )
    memory_limit: int | None = Field(
        default=None,
        ge=32,
        title="Memory limit",
        description="Megabytes a job and what it starts may have to themselves; above, its process is killed.",
    )
    container: dict[str, Any] | None = Field(
        default=None,
        title="Container",
        description="With isolation `container`: its `image`, and as wanted `cpus`, `network`, `mounts`, `env`, `user`, `writable`.",
    )
    slots: int = Field(
        default=4,
        ge=1,
        title="Slots",
        description="Of the pool: how many jobs a worker runs at once, without `--limit`.",
    )
    preload: list[str] = Field(
        default_factory=list,
        title="Preload",
        description="Of the pool: modules loaded once for all processes, beside those of its deployments.",
    )
    recycle_runs: int = Field(
        default=500,
        ge=1,
        title="Recycle after jobs",
        description="Of the pool: jobs a process runs before it is replaced.",
    )
    recycle_memory: int = Field(
        default=1024,
        ge=64,
        title="Recycle above memory",
        description="Of the pool: megabytes a process may keep to itself between two jobs.",
    )
    drain_timeout: float = Field(
        default=60,
        ge=0,
        title="Drain timeout",
        description="Of the pool: seconds running jobs get to finish when a worker is told to stop; the rest start again elsewhere.",
    )


class WarmConfiguration(BaseJobConfiguration):
    """One job's settings, after pool, deployment and run were put together."""

    working_dir: str | None = None
    isolation: Isolation = "reuse"
    timeout: float | None = None
    memory_limit: int | None = None
    container: Container | None = None

    @model_validator(mode="after")
    def _has_its_container(self) -> Self:
        if self.is_contained and self.container is None:
            raise ValueError(
                "isolation `container` needs to know the image: set `container` in the deployment's job variables"
            )
        return self

    @property
    def is_contained(self) -> bool:
        """Whether each job has a container of its own."""
        return self.isolation == "container"

    def require_folder(self) -> None:
        """Raises ValueError if the job's folder is none; in a container it is another machine's."""
        if not self.is_contained and self.working_dir is not None and not Path(self.working_dir).is_dir():
            raise ValueError(
                f"the working directory {self.working_dir} is no folder on this machine: make it, or change `working_dir` "
                "in the deployment's job variables"
            )


#: Of the form, what is a job's own.
_OF_A_JOB = ("env", "working_dir", "isolation", "timeout", "memory_limit", "container")


def base_job_template() -> dict[str, Any]:
    """What a new warm pool gets: the form, and which of it makes up a job."""
    form = WarmVariables.model_json_schema()
    del form["title"]
    return {"job_configuration": {name: f"{{{{ {name} }}}}" for name in _OF_A_JOB}, "variables": form}


@cache
def _ours() -> dict[str, Any]:
    return base_job_template()


def completed(template: dict[str, Any]) -> dict[str, Any]:
    """A pool's form with the fields that came since it was made. Those that are there stay as somebody may have edited them."""
    ours = _ours()
    given, form = template.get("job_configuration", {}), template.get("variables", {})
    return {
        **template,
        "job_configuration": {**ours["job_configuration"], **given},
        "variables": {**form, "properties": {**ours["variables"]["properties"], **form.get("properties", {})}},
    }


class PoolSettings(BaseModel):
    """What a worker reads from its pool when it starts."""

    slots: int = 4
    preload: Annotated[list[str], BeforeValidator(_words)] = Field(default_factory=list)
    recycle_runs: int = 500
    recycle_memory: int = 1024
    drain_timeout: float = 60

    @classmethod
    def of(cls, base_job_template: dict[str, Any]) -> PoolSettings:
        """From the defaults of a pool's form, those that somebody changed in Prefect's UI included."""
        properties = base_job_template.get("variables", {}).get("properties", {})
        given = {
            name: properties[name]["default"]
            for name in cls.model_fields
            if properties.get(name, {}).get("default") is not None
        }
        return cls(**given)
