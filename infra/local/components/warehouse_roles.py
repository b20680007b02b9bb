"""The logins of jobs in the embedded PostgreSQL: one that owns the warehouse and nothing else, one that only reads there.

Danger: SQL of reports and names of tables come from whoever may enqueue a job. As a superuser such SQL could read files, stop
other sessions and reach Prefect's and the ledger's databases.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from redrive.blocks.core.settings import READER, WRITER

_READER, _WRITER = sql.Identifier(READER), sql.Identifier(WRITER)

#: What a superuser made in the warehouse before there was a login of its own: it goes to that login once.
_OWNED_BY_ME = """
    select format('ALTER %s %s OWNER TO ', kind, name) from (
        select 'SCHEMA' as kind, quote_ident(nspname) as name, 0 as place from pg_namespace
        where nspowner = current_user::regrole and nspname !~ '^(pg_|information_schema$)'
        union all
        select case relkind when 'v' then 'VIEW' when 'm' then 'MATERIALIZED VIEW' when 'S' then 'SEQUENCE' else 'TABLE' end,
            c.oid::regclass::text, 1
        from pg_class c join pg_namespace n on n.oid = relnamespace
        where relowner = current_user::regrole and relkind in ('r', 'p', 'v', 'm', 'S') and nspname !~ '^(pg_|information_schema$)'
            and not exists (select from pg_depend where objid = c.oid and deptype in ('a', 'i', 'e'))
    ) as found order by place
"""
_SCHEMAS = "select nspname from pg_namespace where nspname !~ '^(pg_|information_schema$)'"


def make_roles(connection: psycopg.Connection) -> None:
    """Make the two logins, and close every database to whoever has no right of their own there. Safe to repeat."""
    there = {name for (name,) in connection.execute("select rolname from pg_roles")}
    for name in (WRITER, READER):
        if name not in there:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    connection.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(_READER))
    for (name,) in connection.execute("select datname from pg_database where datallowconn").fetchall():
        connection.execute(sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def transfer(warehouse: psycopg.Connection) -> None:
    """Give the warehouse, which the connection is to, to its writer, and what is in it to its reader. Safe to repeat."""
    database = sql.Identifier(warehouse.info.dbname)
    with warehouse.transaction():
        owner = warehouse.execute(
            "select datdba::regrole::text from pg_database where datname = current_database()"
        ).fetchone()
        if owner != (WRITER,):
            warehouse.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, _WRITER))
            for (statement,) in warehouse.execute(_OWNED_BY_ME).fetchall():
                warehouse.execute(sql.SQL(statement) + _WRITER)
        warehouse.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, _READER))
        for (name,) in warehouse.execute(_SCHEMAS).fetchall():
            schema = sql.Identifier(name)
            warehouse.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, _READER))
            warehouse.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(schema, _READER))
        for right in ("SELECT ON TABLES", "USAGE ON SCHEMAS"):
            warehouse.execute(
                sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT {} TO {}").format(_WRITER, sql.SQL(right), _READER)
            )
