"""The four sample jobs as Prefect flows, with real blocks, PostgreSQL, files and SMTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from prefect.filesystems import LocalFileSystem
from prefect.settings import PREFECT_SERVER_ANALYTICS_ENABLED, temporary_settings
from prefect.testing.utilities import prefect_test_harness
from pydantic import SecretStr

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.mail_server import MailServer
from redrive.blocks.warehouse import Warehouse
from redrive.flows.mail.flow import first, mail, write
from redrive.flows.reports.definition import ReportDefinition
from redrive.flows.reports.flow import remember, render, reports
from redrive.flows.reports.view import collect
from redrive.flows.sync.flow import sync
from tests.support.mail_sink import Sink, mail_sink
from tests.support.postgres import running_postgres

SAMPLES = Path(__file__).resolve().parents[2] / "flows" / "samples"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("outputs")
    with (
        temporary_settings({PREFECT_SERVER_ANALYTICS_ENABLED: False}),
        prefect_test_harness(),
        running_postgres() as url,
    ):
        Warehouse(url=SecretStr(url)).save("default", overwrite=True)
        for name in ("documents", "reports"):
            LocalFileSystem(basepath=str(folder / name)).save(name, overwrite=True)
        yield folder


@pytest.fixture
def sink(outputs: Path) -> Iterator[Sink]:
    with mail_sink() as server:
        block = MailServer(host="127.0.0.1", port=server.port, tls="none", sender="Redrive <redrive@example.com>")
        block.save("default", overwrite=True)
        yield server


def test_report_that_comes_late_does_not_take_the_place_of_a_newer_one(outputs: Path, tmp_path: Path):
    (tmp_path / "now.yaml").write_text(
        "name: now\ntitle: Now\nsource: a test\nquery: select 1 as n\ncolumns: [{name: n}]\n"
    )
    definition = ReportDefinition.load(tmp_path / "now.yaml")
    warehouse = Warehouse.load("default")
    days = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)]
    older, newer = (collect(definition, warehouse, {}, day) for day in days)  # type: ignore[arg-type]  # `load` is either, Prefect says
    for view in (newer, older):
        rendered = render.fn(view, "html", "reports")
        remember.fn(view, "reports")
    latest = outputs / "reports" / "now" / "latest"
    assert json.loads((latest / "now.json").read_text())["as_of"].startswith("2026-01-02")
    assert "2 January 2026" in (latest / "now.html").read_text()
    assert "1 January 2026" in Path(rendered.place).read_text()
    assert "A newer report of now is the latest already" in rendered.notes[0]


def test_attachment_that_was_replaced_since_the_mail_was_written_is_not_sent(outputs: Path, sink: Sink, tmp_path: Path):
    """Its words, and what others got under the same Message-ID, were about the first."""
    (tmp_path / "list.txt").write_text("monday")
    values = {"title": "T", "subtitle": "S", "figures": [], "source": "us"}
    given = [str(tmp_path / "list.txt")]
    letter = write.fn(["a@x.org", "b@x.org"], "report", None, None, values, given, "default", "key", "each", [])
    first.fn(letter, "a@x.org", "default")
    (tmp_path / "list.txt").write_text("tuesday")
    with pytest.raises(PermanentError, match=r"attachment list\.txt was replaced after this mail was written"):
        first.fn(letter, "b@x.org", "default")
    assert [one.recipients for one in sink.received] == [["a@x.org"]]


def test_weather_is_synchronised_reported_and_mailed(outputs: Path, sink: Sink):
    synced = sync(source=str(SAMPLES / "data" / "seattle-weather.csv"))
    assert "inserted" in synced.summary()
    assert sync(source=str(SAMPLES / "data" / "seattle-weather.csv")).unchanged == 1461

    reported = reports(definition=str(SAMPLES / "reports" / "seattle-weather.yaml"))
    assert {Path(path).suffix for path in reported.outputs} == {".pdf", ".html", ".xlsx"}
    assert all(Path(path).stat().st_size > 5000 for path in reported.outputs)

    mailed = mail()
    assert mailed.summary() == "'Seattle weather 2015' to Board <board@example.com> with seattle-weather.pdf"
    (received,) = sink.received
    (attached,) = received.mail.iter_attachments()
    assert attached.get_content() == Path(reported.files["pdf"]).read_bytes()
    assert received.mail["Message-ID"] == mailed.message_id


def test_recipient_refused_for_a_moment_gets_the_same_mail_alone(outputs: Path, sink: Sink):
    sink.refusals = {"b@x.org": ["450 greylisted"]}
    mailed = mail(to=["a@x.org", "B <b@x.org>"], template="report", data=None, values=VALUES, attachments=[])
    assert [one.recipients for one in sink.received] == [["a@x.org"], ["b@x.org"]]
    assert [str(one.mail["Message-ID"]) for one in sink.received] == list(mailed.message_ids)
    assert [str(one.mail["To"]) for one in sink.received] == ["a@x.org", "B <b@x.org>"]


def test_visible_mail_names_all_and_the_refused_gets_the_same_later(outputs: Path, sink: Sink):
    sink.refusals = {"b@x.org": ["450 greylisted"]}
    mailed = mail(
        to=["a@x.org", "B <b@x.org>"], cc=["c@x.org"], data=None, values=VALUES, attachments=[], send="visible"
    )
    assert [one.recipients for one in sink.received] == [["a@x.org", "c@x.org"], ["b@x.org"]]
    assert {str(one.mail["Message-ID"]) for one in sink.received} == {mailed.message_id}
    assert {(str(one.mail["To"]), str(one.mail["Cc"])) for one in sink.received} == {
        ("a@x.org, B <b@x.org>", "c@x.org")
    }


@pytest.mark.parametrize("send", ["each", "bcc"])
def test_recipients_are_not_shown_to_each_other(outputs: Path, sink: Sink, send: Literal["each", "bcc"]):
    mail(to=["a@x.org", "b@x.org"], data=None, values=VALUES, attachments=[], send=send)
    got = {recipient: one.mail.as_string() for one in sink.received for recipient in one.recipients}
    assert sorted(got) == ["a@x.org", "b@x.org"]
    assert "b@x.org" not in got["a@x.org"]
    assert "a@x.org" not in got["b@x.org"]


def test_refused_recipients_wait_together_and_the_rest_is_not_mailed_twice(outputs: Path, sink: Sink):
    sink.refusals = {"a@x.org": ["450 later", "550 gone", "550 gone"], "b@x.org": ["450 later"]}
    with pytest.raises(PermanentError, match=r"refuses a@x\.org"):
        mail(to=["a@x.org", "b@x.org", "c@x.org"], data=None, values=VALUES, attachments=[])
    assert [one.recipients for one in sink.received] == [["c@x.org"], ["b@x.org"]]


def test_only_the_refused_of_two_alike_addresses_is_asked_again(outputs: Path, sink: Sink):
    sink.refusals = {"a@x.org": ["450 greylisted"]}
    mail(to=["aa@x.org", "a@x.org"], data=None, values=VALUES, attachments=[])
    assert [one.recipients for one in sink.received] == [["aa@x.org"], ["a@x.org"]]


def test_recipient_refused_for_good_fails_the_job_and_is_named(outputs: Path, sink: Sink):
    sink.refusals = {"b@x.org": ["550 no such user", "550 no such user"]}
    with pytest.raises(PermanentError, match=r"refuses b@x\.org \(550 no such user\): correct the address"):
        mail(to=["a@x.org", "b@x.org"], data=None, values=VALUES, attachments=[])
    assert [one.recipients for one in sink.received] == [["a@x.org"]]


def test_mail_waits_for_the_report_that_is_not_there_by_saying_so(outputs: Path, sink: Sink):
    with pytest.raises(PermanentError, match=r"no file nothing/latest/x\.json in local-file-system/reports"):
        mail(data="reports:nothing/latest/x.json")


VALUES = {"title": "T", "subtitle": "S", "figures": [], "source": "us"}
