"""Which dead letters: one value that the command line, the console and the review flow all ask with.

Danger: a filter with times or text reads rows; one without is answered from the sums and costs the same at any size.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator
from sqlalchemy import ColumnElement, Connection, Table, and_, false, func, or_, select
from sqlalchemy.sql.elements import SQLCoreOperations

from redrive.blocks.core.errors import Conflict, NotFound, ParameterError
from redrive.blocks.core.first_fault import first_fault
from redrive.deployments.dead_letters.ledger.rows import Status
from redrive.deployments.dead_letters.ledger.tables import SEARCHED_CHARACTERS, dead_letters, groups

#: Hex digits of a whole fingerprint.
FINGERPRINT_LENGTH: Final = 12

#: A prefix that more causes than this share says nothing.
_PREFIX_MATCHES: Final = 50

Condition = ColumnElement[bool]


class Filter(BaseModel):
    """All given conditions must hold; `None` is no condition.

    Raises:
        ParameterError: a condition that cannot be asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status | None = None
    job: str | None = None
    queue: str | None = None
    fingerprint: str | None = Field(None, description="Whole, or its first digits.")
    error_type: str | None = Field(None, description="As in the row.")
    reason: str | None = None
    since: AwareDatetime | None = Field(None, description="Last failure at or after this time.")
    until: AwareDatetime | None = Field(None, description="Last failure before this time.")
    recorded_until: AwareDatetime | None = Field(
        None, description="Put into the ledger, for the last time, at or before this time."
    )
    causes: tuple[str, ...] | None = Field(None, description="One of these whole fingerprints.")
    text: str | None = Field(
        None, description=f"Part of the message, in any case; the first {SEARCHED_CHARACTERS} characters are searched."
    )
    ids: tuple[UUID, ...] | None = Field(None, description="These rows, by id.")
    batch: UUID | None = Field(None, description="Redriven or discarded by this bulk act.")

    def __init__(self, **conditions: Any) -> None:
        try:
            super().__init__(**conditions)
        except ValidationError as error:
            raise ParameterError(first_fault(error, type(self).model_fields, what="a filter")) from None

    @field_validator("fingerprint")
    @classmethod
    def _hex(cls, value: str | None) -> str | None:
        if value is None:
            return None
        value = value.lower()
        if not value or len(value) > FINGERPRINT_LENGTH or set(value) - set("0123456789abcdef"):
            raise ValueError(f"{value!r} is no fingerprint: it has up to {FINGERPRINT_LENGTH} digits 0-9 and a-f")
        return value

    @property
    def needs_rows(self) -> bool:
        """Whether the sums cannot answer this."""
        times = (self.since, self.until, self.recorded_until)
        return any(time is not None for time in times) or any(
            one is not None for one in (self.text, self.batch, self.ids)
        )

    def rows(self, connection: Connection) -> Condition:
        """The condition on `dead_letters`."""
        found = [self.sums(connection, dead_letters)]
        if self.since is not None:
            found.append(dead_letters.c.last_failure >= self.since)
        if self.until is not None:
            found.append(dead_letters.c.last_failure < self.until)
        if self.recorded_until is not None:
            found.append(dead_letters.c.buried_at <= self.recorded_until)
        if self.ids is not None:
            found.append(dead_letters.c.id.in_(self.ids))
        if self.batch is not None:
            found.append(dead_letters.c.batch_id == self.batch)
        if self.text is not None:
            found.append(says(connection, dead_letters.c.message, self.text))
        return and_(*found)

    def sums(self, connection: Connection, table: Table) -> Condition:
        """The conditions that the tallies can answer too, on `table`."""
        found: list[Condition] = [
            table.c[name] == value
            for name in ("status", "job", "queue", "reason")
            if (value := getattr(self, name)) is not None
        ]
        if self.error_type is not None:
            found.append(table.c.error_type == self.error_type)
        if self.causes is not None:
            found.append(table.c.fingerprint.in_(self.causes))
        if self.fingerprint is not None:
            found.append(_fingerprint(connection, table, self.fingerprint))
        return and_(*found) if found else and_(True)  # noqa: FBT003  (SQLAlchemy's spelling of an empty AND)


def says(connection: Connection, message: SQLCoreOperations[str], text: str) -> Condition:
    """Whether a message holds the text."""
    # Spelled like the index on it.
    head = func.left(message, SEARCHED_CHARACTERS) if connection.dialect.name == "postgresql" else message
    return head.icontains(text, autoescape=True)


def _fingerprint(connection: Connection, table: Table, prefix: str) -> Condition:
    if len(prefix) == FINGERPRINT_LENGTH:
        return table.c.fingerprint == prefix
    # Whole fingerprints can use the indexes that are ordered by time, a range of them cannot.
    whole = matching(connection, prefix)
    if not whole:
        return false()
    if len(whole) > _PREFIX_MATCHES:
        return in_prefix(table, prefix)
    return or_(*(table.c.fingerprint == one for one in whole))


def matching(connection: Connection, prefix: str) -> list[str]:
    """Known fingerprints that begin so, at most one more than counts as a useful number."""
    query = select(groups.c.fingerprint).where(in_prefix(groups, prefix)).order_by(groups.c.fingerprint)
    return list(connection.scalars(query.limit(_PREFIX_MATCHES + 1)))


def in_prefix(table: Table, prefix: str) -> Condition:
    # "g" comes right after the hex digits in every collation.
    return and_(table.c.fingerprint >= prefix, table.c.fingerprint < prefix + "g")


def one_fingerprint(connection: Connection, prefix: str) -> str:
    """The one known fingerprint that begins with `prefix`.

    Raises:
        NotFound: no dead letter has it.
        Conflict: several begin so.
        ParameterError: no hex digits.
    """
    asked = Filter(fingerprint=prefix).fingerprint or ""
    found = matching(connection, asked)
    if not found:
        nearest = list(connection.scalars(select(groups.c.fingerprint).order_by(groups.c.last_seen.desc()).limit(3)))
        known = f"; the newest causes are {', '.join(nearest)}" if nearest else "; the ledger is empty"
        raise NotFound(f"no dead letter has the fingerprint {asked}{known} (`redrive dead groups` shows all)")
    if len(found) > 1:
        raise Conflict(f"{len(found)} causes begin with {asked}: {', '.join(found[:5])}; give more digits", found=found)
    return found[0]


def describe(asked: Filter) -> dict[str, Any]:
    """The conditions that were given, as JSON."""
    return asked.model_dump(mode="json", exclude_none=True)
