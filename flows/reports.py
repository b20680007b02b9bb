"""Reports: a query over synchronised data becomes a report as HTML, PDF and XLSX.

Danger: the view is taken once and kept with the job, so that all formats and all tries show the same figures and time.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from redrive.blocks.payloads import ReportResult
from redrive.blocks.saved import saved
from redrive.blocks.settings import settings
from redrive.blocks.warehouse import Warehouse
from redrive.deployments.catalog import job_type
from redrive.flows.job import job, step
from redrive.flows.report_pages.definition import ReportDefinition
from redrive.flows.report_pages.page import page
from redrive.flows.report_pages.pdf import pdf
from redrive.flows.report_pages.view import ReportView, collect
from redrive.flows.report_pages.workbook import workbook
from redrive.flows.stores import Store

REPORTS = job_type("reports")

Format = Literal["html", "pdf", "xlsx"]

LATEST = "latest"
"""Folder of a report's newest files, whose names stay the same: what a mail or a link names."""


@job(REPORTS)
def reports(
    definition: str = "samples/reports/seattle-weather.yaml",
    parameters: dict[str, Any] = {},  # noqa: B006  (Prefect shows it in the form, and nothing here changes it)
    formats: list[Format] = ["pdf", "html", "xlsx"],  # noqa: B006  (as above)
    warehouse: str = "default",
    store: str = "reports",
) -> ReportResult:
    """Run a report's query and store the report in each format, dated and as the latest.

    Args:
        definition: Report definition, a YAML file; a relative path counts from REDRIVE_HOME.
        parameters: Values for the query's parameters, over the definition's defaults; the sample takes a year.
        formats: What to make.
        warehouse: Name of the Warehouse block to read from.
        store: Storage block for the files, `name` of a local file system or `type/name`.
    """
    read = ReportDefinition.load(settings().place(definition))
    view = query(read, parameters, warehouse)
    files = {made: render(view, made, store) for made in dict.fromkeys(formats)}
    remember(view, store)
    return ReportResult(
        report=view.name,
        title=view.title,
        rows=len(view.rows),
        files=files,
        latest={made: f"{store}:{path_of(view, made, LATEST)}" for made in files},
    )


@step(REPORTS.policy)
def query(definition: ReportDefinition, parameters: dict[str, Any], warehouse: str) -> ReportView:
    """The report's content, as of now."""
    return collect(definition, saved(Warehouse, warehouse), parameters, datetime.now(UTC))


@step(REPORTS.policy)
def render(view: ReportView, made: Format, store: str) -> str:
    """Make one format and store it; says where it lies."""
    match made:
        case "html":
            content = page(view).encode()
        case "pdf":
            content = pdf(view)
        case "xlsx":
            content = workbook(view)
    target = Store.load(store)
    target.write(path_of(view, made, LATEST), content)
    return target.write(path_of(view, made, f"{view.as_of:%Y-%m-%d}"), content)


@step(REPORTS.policy)
def remember(view: ReportView, store: str) -> str:
    """Store title and figures as JSON, for the mail that sends the report."""
    head = view.model_dump_json(include={"name", "title", "subtitle", "as_of", "figures", "source"}, indent=2)
    return Store.load(store).write(path_of(view, "json", LATEST), head.encode())


def path_of(view: ReportView, ending: str, folder: str) -> str:
    """Where a file of a report is kept in its store."""
    return f"{view.name}/{folder}/{view.name}.{ending}"
