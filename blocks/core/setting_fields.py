"""What can be set: every `REDRIVE_*` name, with its default and what it means. Where these lead, `settings.py` says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from redrive.blocks.core.setting_values import (
    QUEUES,
    absolute_folders,
    hosts_and_networks,
    listed,
    networks,
    queue_names,
    with_trace_id,
)


class SettingFields(BaseModel):
    """What one stack or one client of it is told. Field `x_y` is read from `REDRIVE_X_Y`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(description="Folder with all state of this stack. Default: `.redrive/` in the project.")
    jobs: str = Field("", description="Modules with job types of your own, comma separated: `my_package.jobs`.")
    host: str = Field("127.0.0.1", description="Address the local stack listens on.")
    prefect_port: int = Field(4200, ge=1, le=65535, description="Port of the Prefect server and its UI.")
    console_port: int = Field(4300, ge=1, le=65535, description="Port of the operator's console.")
    console_url: str = Field(
        "", description="Where people reach the console, for links from elsewhere: `https://jobs.example.com`."
    )
    console_proxies: Annotated[tuple[str, ...], BeforeValidator(networks)] = Field(
        (),
        description="Addresses or networks (CIDR) of proxies whose word on who a person is the console takes, comma separated.",
    )
    console_user_header: str = Field(
        "X-Forwarded-User", description="The header in which such a proxy names the person."
    )
    metrics_port: int = Field(9464, ge=1, le=65535, description="Port of the metrics exporter.")
    metrics_interval: float = Field(
        5,
        ge=0.5,
        le=20,  # half a minute later, figures of queues would count as old
        description="Seconds between two counts of finished jobs by the metrics exporter; queues are counted half as often.",
    )
    smtp_port: int = Field(4025, ge=1, le=65535, description="Port of the local mail server.")
    database_url: SecretStr | None = Field(
        None,
        description="A PostgreSQL database of yours instead of the embedded one: `postgresql://user:password@host/redrive`. "
        "Redrive also uses the databases named like it plus `_prefect` and `_warehouse`.",
    )
    warehouse_url: SecretStr | None = Field(None, description="PostgreSQL database that sync jobs write to.")
    redis_url: SecretStr | None = Field(None, description="A Redis or Valkey of yours instead of the embedded one.")
    smtp_url: SecretStr | None = Field(
        None, description="A mail server of yours instead of the local one: `smtp[s]://user:password@host:port`."
    )
    mail_from: str = Field("Redrive <redrive@localhost>", description="Sender of mail jobs that name none.")
    slots: int = Field(4, ge=1, le=256, description="How many jobs the local worker runs at once.")
    job_nice: int = Field(
        5,
        ge=0,
        le=19,
        description="How much jobs of warm workers give way to the rest where processors are short (`nice`).",
    )
    drain_timeout: float = Field(
        10,
        ge=0,
        description="Seconds running jobs get to finish when the local worker is told to stop; the rest start again later.",
    )
    queues: Annotated[tuple[str, ...], BeforeValidator(queue_names)] = Field(
        QUEUES,
        description="The queues of the jobs, first served first, comma separated; with one of your own, `high,default,low,bulk`.",
    )
    fast_server: bool = Field(
        default=True,
        description="Begin, finish and create jobs by calls of Redrive's own in front of Prefect's server; 0: by Prefect's.",
    )
    retry_after: float = Field(90, ge=1, description="Lease: seconds a silent worker keeps its jobs.")
    file_roots: Annotated[tuple[Path, ...], BeforeValidator(absolute_folders)] = Field(
        (), description="Further folders that files named by a job's parameters may lie in, separated by `:`."
    )
    actor: str = Field(
        "", description="Who acts here, for cancels, redrives and discards; the user of the system if empty."
    )
    private_hosts: Annotated[tuple[str, ...], BeforeValidator(hosts_and_networks)] = Field(
        (),
        description="Hosts, addresses or networks (CIDR) that HTTP sources of jobs may reach although they are not public, "
        "comma separated: `intranet.example.com,10.1.0.0/16`.",
    )
    trace_url: Annotated[str, BeforeValidator(with_trace_id)] = Field(
        "", description="Where a trace is shown, for links: `https://traces.example.com/trace/{trace_id}`."
    )
    trace_first_try: Literal["link", "child"] = Field(
        "link",
        description="Whether the first try of a job that is due at once is a trace of its own that links to the request, or a "
        "child of the request; every later one links.",
    )
    trace_parameters: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        (),
        description="Parameters of jobs whose values may leave with traces, comma separated; all others are hidden there.",
    )
    sentry_tries: bool = Field(
        default=False, description="1: Sentry is told of each failed try, not of dead letters only."
    )
    profile_slow: int = Field(
        0,
        ge=0,
        le=1000,
        description="Profiles an hour that a worker keeps by itself of jobs slower than their type's p99; 0: none.",
    )
    keep_days: float = Field(30, gt=0, description="Days that finished runs and closed dead letters are kept.")
    backups: Path | None = Field(
        None,
        description="Folder of backups: where `redrive backup` puts them, and `redrive check` looks how old the newest is.",
    )
    results_shared: bool = Field(
        default=False,
        description="1: the folder of results is one that all hosts share, as `redrive check` cannot see.",
    )
    pool_template: Path | None = Field(
        None,
        description="At registration: base job template (JSON) with which pool `jobs` is made of type `kubernetes`, not `warm`.",
    )
    tls: Path | None = Field(
        None,
        description="In containers: folder with `tls.crt`, `tls.key` and `ca.crt`; API server, console and exporter speak TLS.",
    )
    # Read from Prefect's own names, so that one shell configures both.
    external_api_url: str | None = Field(None, description="PREFECT_API_URL, if it is not this stack's own server.")
    api_auth: SecretStr | None = Field(None, description="PREFECT_API_AUTH_STRING, if given.")
    given: frozenset[str] = Field(frozenset(), description="Fields the environment names, not the stack's own record.")
