"""Reports: a query over synchronised data becomes a report as HTML, PDF and XLSX.

Danger: the view is taken once and kept with the job, so that all formats and all tries show the same figures and time.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, ValidationError

from redrive.blocks.core.payloads import Payload, ReportResult
from redrive.blocks.saved import saved
from redrive.blocks.warehouse import Warehouse
from redrive.deployments.catalog import job_type
from redrive.flows.engine.job import job, step
from redrive.flows.reports.definition import ReportDefinition
from redrive.flows.reports.page import page
from redrive.flows.reports.pdf import pdf
from redrive.flows.reports.view import ReportView, collect
from redrive.flows.reports.workbook import workbook
from redrive.flows.stores import Store

REPORTS = job_type("reports")

Format = Literal["html", "pdf", "xlsx"]

LATEST = "latest"
"""Folder of a report's newest files, whose names stay the same: what a mail or a link names."""


class Head(Payload):
    """What is read of the JSON beside the latest report."""

    model_config = ConfigDict(extra="ignore")

    as_of: AwareDatetime


class Rendered(Payload):
    """A format that was stored: where it lies, and what it had to leave out or change."""

    place: str
    notes: tuple[str, ...] = ()


@job(REPORTS)
def reports(
    definition: str = "samples/reports/seattle-weather.yaml",
    parameters: dict[str, Any] = {},  # noqa: B006  (Prefect shows it in the form, and nothing here changes it)
    formats: list[Format] = ["pdf", "html", "xlsx"],  # noqa: B006  (as above)
    warehouse: str = "default",
    store: str = "reports",
    locale: str | None = None,
    timezone: str | None = None,
) -> ReportResult:
    """Run a report's query and store the report in each format, dated and as the latest.

    Args:
        definition: Report definition, a YAML file; a relative path counts from REDRIVE_HOME.
        parameters: Values for the query's parameters, over the definition's defaults; the sample takes a year.
        formats: What to make.
        warehouse: Name of the Warehouse block to read from.
        store: Storage block for the files, `name` of a local file system or `type/name`.
        locale: How numbers and dates are written, if not as the definition says: `de_DE`.
        timezone: Time zone of times and days, if not the definition's: `Europe/Berlin`.
    """
    view = query(read(definition, locale, timezone), parameters, warehouse)
    made = {format_: render(view, format_, store) for format_ in dict.fromkeys(formats)}
    remember(view, store)
    return ReportResult(
        report=view.name,
        title=view.title,
        rows=len(view.rows),
        files={format_: rendered.place for format_, rendered in made.items()},
        latest={format_: f"{store}:{path_of(view, format_, LATEST)}" for format_ in made},
        notes=tuple(dict.fromkeys(note for rendered in made.values() for note in rendered.notes)),
    )


@step(REPORTS.policy)
def read(definition: str, locale: str | None, timezone: str | None) -> ReportDefinition:
    """The definition; a step, so that its limits hold for reading it too."""
    return ReportDefinition.load(definition).placed(locale=locale, timezone=timezone)


@step(REPORTS.policy)
def query(definition: ReportDefinition, parameters: dict[str, Any], warehouse: str) -> ReportView:
    """The report's content, as of now."""
    return collect(definition, saved(Warehouse, warehouse), parameters, datetime.now(UTC))


@step(REPORTS.policy)
def render(view: ReportView, made: Format, store: str) -> Rendered:
    """Make one format and store it."""
    notes: tuple[str, ...] = ()
    match made:
        case "html":
            content = page(view).encode()
        case "pdf":
            content, notes = pdf(view)
        case "xlsx":
            content, notes = workbook(view)
    target = Store.load(store)
    if is_newest(view, target):
        target.write(path_of(view, made, LATEST), content)
    else:
        notes += (f"A newer report of {view.name} is the latest already, so this one is kept under its day only.",)
    day = view.formats.local(view.as_of)
    return Rendered(place=target.write(path_of(view, made, f"{day:%Y-%m-%d}"), content), notes=notes)


@step(REPORTS.policy)
def remember(view: ReportView, store: str) -> str:
    """Store title and figures as JSON, for the mail that sends the report."""
    head = view.model_dump_json(include={"name", "title", "subtitle", "as_of", "figures", "source"}, indent=2)
    target, path = Store.load(store), path_of(view, "json", LATEST)
    return target.write(path, head.encode()) if is_newest(view, target) else target.location(path)


def is_newest(view: ReportView, store: Store) -> bool:
    """Whether no newer report of that name is the latest: one that waited for its next try must not take its place."""
    there = store.read(path_of(view, "json", LATEST))
    try:
        return there is None or Head.model_validate_json(there).as_of <= view.as_of
    except ValidationError:
        return True


def path_of(view: ReportView, ending: str, folder: str) -> str:
    """Where a file of a report is kept in its store."""
    return f"{view.name}/{folder}/{view.name}.{ending}"
