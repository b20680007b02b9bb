"""The logins of jobs in the embedded PostgreSQL: sync owns the warehouse and nothing else, reports only read there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.core.settings import READER, WRITER, settings
from redrive.blocks.prefect.client import prefect_settings
from redrive.blocks.saved import saved
from redrive.blocks.warehouse import Warehouse
from redrive.deployments import default_blocks
from redrive.deployments.register import register
from redrive.flows.sync.source.opened import opened
from redrive.flows.sync.table.merge import merge
from redrive.infra.local.components.warehouse_roles import make_roles, transfer
from tests.support.job_stack import JobStack
from tests.support.postgres import PostgresServer, postgres_server  # noqa: F401  (a fixture)
from tests.support.prefect_client import api


@dataclass(frozen=True)
class OlderWarehouse:
    """A warehouse of an older stack, handed over, and a database that is none of the jobs' business."""

    server: PostgresServer
    warehouse: str
    ledger: str

    def url(self, user: str, database: str) -> str:
        return f"postgresql://{user}@/{database}?host={self.server.folder}"

    @property
    def block(self) -> Warehouse:
        return Warehouse(
            url=SecretStr(self.url(WRITER, self.warehouse)), reader=SecretStr(self.url(READER, self.warehouse))
        )

    def transfer(self) -> None:
        with psycopg.connect(self.url("postgres", self.warehouse), autocommit=True) as connection:
            make_roles(connection)
            transfer(connection)


@pytest.fixture
def place(postgres_server: PostgresServer) -> OlderWarehouse:  # noqa: F811  (the fixture)
    warehouse, ledger = (str(make_url(postgres_server.database()).database) for _ in range(2))
    place = OlderWarehouse(postgres_server, warehouse, ledger)
    with psycopg.connect(place.url("postgres", warehouse), autocommit=True) as connection:
        connection.execute("create table stock (id bigint primary key, name text)")
        connection.execute("insert into stock values (1, 'old')")
        connection.execute("create schema sales")
        connection.execute("create table sales.orders (id bigserial primary key)")
        connection.execute("create view sales.latest as select * from sales.orders")
    place.transfer()
    return place


def synced(place: OlderWarehouse, folder: Path, table: str) -> None:
    (folder / "stock.csv").write_text("id,name\n1,new\n")
    with opened(str(folder / "stock.csv")) as source, place.block.connect() as connection:
        merge(connection, source, table=table, key=["id"])


def test_sync_writes_old_and_new_tables_and_reports_read_them(place: OlderWarehouse, tmp_path: Path):
    for table in ("stock", "fresh", "sales.fresh"):
        synced(place, tmp_path, table)
    place.transfer()
    with place.block.connect() as connection:
        connection.execute("create schema later")
        connection.execute("create table later.things (id int)")
    with place.block.connect(read_only=True) as connection:
        for table in ("stock", "fresh", "sales.fresh"):
            assert connection.execute(f"select name from {table}").fetchall() == [("new",)]  # type: ignore[arg-type]  # noqa: S608
        assert connection.execute("select * from later.things, sales.latest").fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        "select pg_read_file('/etc/passwd')",
        "select pg_ls_dir('/')",
        "select lo_import('/etc/passwd')",
        "copy stock to program 'cat'",
        "copy stock to '/tmp/stock'",
        "select rolpassword from pg_authid",
        "select pg_reload_conf()",
        "create role another superuser",
        "set role postgres",
        "set session authorization postgres",
        "create extension file_fdw",
    ],
)
def test_neither_login_leaves_the_warehouse(place: OlderWarehouse, statement: str):
    for user in (WRITER, READER):
        with psycopg.connect(place.url(user, place.warehouse)) as connection:
            connection.execute("set transaction read write")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "statement",
    [
        "insert into stock values (2, 'x')",
        "update stock set name = 'x'",
        "delete from stock",
        "truncate stock",
        "drop table stock",
        "create table mine (id int)",
        "create temporary table mine (id int)",
        "select nextval('sales.orders_id_seq')",
    ],
)
def test_reading_login_changes_nothing_even_outside_of_a_read_only_transaction(place: OlderWarehouse, statement: str):
    with psycopg.connect(place.url(READER, place.warehouse)) as connection:
        connection.execute("set transaction read write")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)  # type: ignore[arg-type]


def test_neither_login_stops_the_sessions_of_others(place: OlderWarehouse):
    with psycopg.connect(place.url("postgres", place.warehouse)) as other:
        for user in (WRITER, READER):
            with psycopg.connect(place.url(user, place.warehouse)) as connection:
                for act in ("pg_terminate_backend", "pg_cancel_backend"):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                        connection.execute(f"select {act}(%s)", [other.info.backend_pid])  # type: ignore[arg-type]


@pytest.mark.parametrize("user", [WRITER, READER])
def test_neither_login_opens_another_database(place: OlderWarehouse, user: str):
    for database in (place.ledger, "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(place.url(user, database))
    with pytest.raises(PermanentError, match="refuses the login"):
        Warehouse(url=SecretStr(place.url(user, place.ledger))).check()


def test_jobs_of_a_stack_have_these_logins_and_cannot_open_the_ledger(job_stack: JobStack):
    with prefect_settings():
        block = saved(Warehouse, "default")
    assert block.check().endswith(f"as {WRITER}, for reading as {READER}")
    ledger = make_url(job_stack.settings.ledger_url()).database
    prefect = make_url(job_stack.settings.prefect_database_url()).database
    for secret in (block.url, block.reader):
        assert secret is not None
        for other in (ledger, prefect):
            url = make_url(secret.get_secret_value()).set(database=other, drivername="postgresql")
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(url.render_as_string(hide_password=False))


def test_worker_of_a_stack_and_its_jobs_processes_hold_no_login_of_the_ledger(job_stack: JobStack):
    worker = psutil.Process(job_stack.component("worker")["pid"])
    children = worker.children(recursive=True)
    assert children  # the warm processes
    ledger = str(make_url(job_stack.settings.ledger_url()).database)
    for process in (worker, *children):
        environment = process.environ()
        assert "REDRIVE_DATABASE_URL" not in environment
        assert "PREFECT_API_DATABASE_CONNECTION_URL" not in environment
        assert not [name for name, value in environment.items() if "postgresql" in value or f"/{ledger}?" in value]


@pytest.mark.slow
def test_block_of_an_older_stack_is_replaced_unless_a_person_edited_it(job_stack: JobStack):
    """What an older stack wrote: the superuser's URL, without a field for reading, and its hash."""
    with prefect_settings():
        old = Warehouse(url=SecretStr(settings().synced_url().replace(WRITER, "postgres")))
        edited = Warehouse(url=SecretStr("postgresql://me@warehouse.example.com/data"))
        hashes = settings().home / "blocks.json"
        for block, after in ((old, WRITER), (edited, "me")):
            block.save("default", overwrite=True)
            kept = hashes.read_text()
            try:
                hashes.write_text(
                    kept.replace(default_blocks._hash(default_blocks._warehouse(settings())), default_blocks._hash(old))
                )
                register(settings())
                assert make_url(saved(Warehouse, "default").url.get_secret_value()).username == after
            finally:
                default_blocks._warehouse(settings()).save("default", overwrite=True)
                register(settings())
        assert api().read_block_document_by_name("default", "warehouse")
