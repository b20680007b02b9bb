"""Whether a source is the same as when it was last brought into a table, for syncs with a cursor.

Kept in a table beside the rows, written in the same transaction, and only believed while the table's own newest rows are those
that this sync left: whoever empties, restores or corrects them gets all of the source again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from redrive.flows.sync.table.target import Target

_TABLE = "redrive_known_sources"


@dataclass(frozen=True)
class Newest:
    """The rows with the cursor's highest value: enough to tell whether the table is as a sync left it."""

    value: str
    rows: int
    checksum: str


class KnownSource:
    """What is known of one source of one table.

    Args:
        asked: everything that decides what a sync brings: the source and its parameters.
    """

    def __init__(self, connection: psycopg.Connection, target: Target, cursor: str, asked: Mapping[str, Any]) -> None:
        self._connection = connection
        self._target = target
        self._cursor = cursor
        self._table = target.beside(_TABLE)
        # Hashed: an address may hold a login.
        self._asked = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
        self.fingerprint: str | None = None
        self.validators: dict[str, str] = {}
        self.newest: Newest | None = None
        self._recall()

    def keep(self, fingerprint: str | None, validators: Mapping[str, str]) -> None:
        """Remember the source as it was just brought in; not at all where the login may make no table."""
        newest = self._newest() if fingerprint or validators else None
        if newest is None:
            return
        values = [self._target.label, self._asked, self._state(newest), fingerprint, json.dumps(dict(validators))]
        try:
            with self._connection.transaction():
                self._connection.execute(
                    sql.SQL(
                        "create table if not exists {} (table_name text, asked text, newest text not null, fingerprint text,"
                        " validators text not null, primary key (table_name, asked))"
                    ).format(self._table)
                )
                self._connection.execute(
                    sql.SQL(
                        "insert into {} values (%s, %s, %s, %s, %s) on conflict (table_name, asked) do update set"
                        " newest = excluded.newest, fingerprint = excluded.fingerprint, validators = excluded.validators"
                    ).format(self._table),
                    values,
                )
        except psycopg.errors.InsufficientPrivilege:
            return

    def _recall(self) -> None:
        there = self._connection.execute("select to_regclass(%s)", [self._table.as_string(self._connection)]).fetchone()
        if not there or there[0] is None:
            return
        try:
            with self._connection.transaction():
                row = self._connection.execute(
                    sql.SQL(
                        "select newest, fingerprint, validators from {} where table_name = %s and asked = %s"
                    ).format(self._table),
                    [self._target.label, self._asked],
                ).fetchone()
        except psycopg.errors.InsufficientPrivilege:
            return
        self.newest = self._newest() if row else None
        if row and self.newest and row[0] == self._state(self.newest):
            self.fingerprint, self.validators = row[1], json.loads(row[2])

    def _newest(self) -> Newest | None:
        if self._cursor not in self._target.columns():
            return None
        value = self._target.highest(self._cursor)
        if value is None:
            return None
        column = sql.Identifier(self._cursor)
        row = self._connection.execute(
            sql.SQL(
                "select count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text from {} t"
                " where {} = (select max({}) from {})"
            ).format(self._target.name, column, column, self._target.name)
        ).fetchone()
        return Newest(value, *row) if row else None

    @staticmethod
    def _state(newest: Newest) -> str:
        return f"{newest.rows} {newest.checksum} {newest.value}"
