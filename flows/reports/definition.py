"""A report's definition: query, headline figures, charts and columns, as data that anybody can write in YAML.

Danger: a definition is code in one respect, its query; it runs read-only, as the Warehouse block's user.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.core.nearest import suggestion
from redrive.flows.reports.definition_file import content
from redrive.flows.reports.places import known_locale, known_zone

Value = str | int | float | bool | None
Color = Literal["cool", "warm", "strong", "quiet", "pale", "green"]
Take = Literal["sum", "mean", "max", "min", "first", "last", "count"]


class Part(BaseModel):
    """A part of a definition; a name it does not know is a mistake, not an extra."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Part):
    """A column of the table."""

    name: str = Field(description="Column of the query.")
    label: str = Field("", description="Heading; the name if left out.")
    format: Literal["auto", "text", "number", "percent", "date", "month", "time"] = "auto"
    decimals: int | None = Field(None, ge=0, le=6, description="As many as its values have, up to 6, if left out.")
    unit: str = ""
    signed: bool = Field(default=False, description="Show a plus before what is greater than 0.")
    total: Literal["sum", "mean"] | None = None

    @property
    def heading(self) -> str:
        return self.label or self.name.replace("_", " ").capitalize()

    @property
    def digits(self) -> int:
        """Decimals as they are shown."""
        return self.decimals or 0


class Figure(Part):
    """A headline figure: one number taken from a column."""

    label: str
    column: str
    take: Take = "last"
    decimals: int = Field(0, ge=0, le=6)
    unit: str = ""
    at: str | None = Field(None, description="Column that says where the highest or lowest value was, shown beneath.")
    compare: str | None = Field(
        None, description="Column to take the same way; the difference in percent is shown beneath."
    )
    note: str = Field("", description="Text beneath, if there is neither at nor compare.")


class Series(Part):
    """What is drawn of one column."""

    column: str
    label: str = ""
    kind: Literal["line", "dashed", "bar", "tick", "area"] = "line"
    color: Color = "cool"

    @property
    def name(self) -> str:
        return self.label or self.column


class Chart(Part):
    """One chart; its series share the axes."""

    title: str
    x: str
    series: tuple[Series, ...] = Field(min_length=1, max_length=5)
    unit: str = ""


class ReportDefinition(Part):
    """A report as data."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", description="Used for folders and files: `seattle-weather`.")
    title: str = Field(description="May hold $column, the value of that column in the first row.")
    subtitle: str = ""
    query: str = Field(description="One SELECT. With parameters, write %(name)s for them and %% for a percent sign.")
    parameters: dict[str, Value] = Field(default_factory=dict, description="Defaults of the query's parameters.")
    figures: tuple[Figure, ...] = Field((), max_length=4)
    charts: tuple[Chart, ...] = ()
    columns: tuple[Column, ...] = Field(min_length=1)
    notes: tuple[str, ...] = ()
    source: str = Field(description="Where the data come from; printed at the foot.")
    locale: str = Field(
        "en_GB", description="How numbers and dates are written: `de_DE`; `ar` also turns the page around."
    )
    timezone: str = Field("UTC", description="Zone of times, and of the query's own days and hours: `Europe/Berlin`.")
    empty: Literal["report", "error"] = Field(
        "report", description="When the query finds nothing: a report that says so, or a failed job."
    )

    @field_validator("query")
    @classmethod
    def _one_select(cls, query: str) -> str:
        stripped = query.strip().rstrip(";")
        if not stripped.lower().startswith(("select", "with", "(", "values")):
            raise ValueError("a report's query must be one SELECT")
        return stripped

    @field_validator("locale")
    @classmethod
    def _known_locale(cls, name: str) -> str:
        return known_locale(name)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        return known_zone(name)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The definition in a YAML file; a relative path counts from REDRIVE_HOME.

        Raises:
            PermanentError: not there, not allowed, no YAML, too large, or a field that does not fit; the message names it.
        """
        read = content(path)
        if not isinstance(read, dict):
            raise PermanentError(
                f"the report definition {Path(path).name} is empty or a list: it needs name, title, query, columns and source"
            )
        try:
            return cls(**read)
        except ValidationError as error:
            raise PermanentError(
                f"the report definition {Path(path).name} does not fit: {_explained(error)}"
            ) from error

    def with_parameters(self, given: dict[str, Any]) -> dict[str, Value]:
        """The query's parameters: the defaults, and what was given over them.

        Raises:
            PermanentError: a parameter the report does not have.
        """
        for name in given:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                hint = suggestion(name, self.parameters, f"it has {known}", alike=0.6)
                raise PermanentError(f"the report {self.name} has no parameter {name!r}; {hint}")
        return {**self.parameters, **given}

    def placed(self, *, locale: str | None, timezone: str | None) -> Self:
        """The definition with the job's own locale and time zone over its own.

        Raises:
            PermanentError: one that nobody knows.
        """
        try:
            return self.model_copy(
                update={
                    "locale": known_locale(locale) if locale else self.locale,
                    "timezone": known_zone(timezone) if timezone else self.timezone,
                }
            )
        except ValueError as error:
            raise PermanentError(str(error)) from error

    def column_names(self) -> list[str]:
        """Every column of the query that the definition speaks of."""
        named = [column.name for column in self.columns]
        for figure in self.figures:
            named += [name for name in (figure.column, figure.at, figure.compare) if name]
        for chart in self.charts:
            named += [chart.x, *(series.column for series in chart.series)]
        return list(dict.fromkeys(named))


def _explained(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {str(first['msg']).removeprefix('Value error, ')}"
