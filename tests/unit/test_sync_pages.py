"""A source in several pages, in packed answers, or that asks to be asked later: never half read."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from redrive.blocks.core.errors import PermanentError, Snooze
from redrive.flows.sync.source.download import wait_seconds
from redrive.flows.sync.source.limits import Limits
from redrive.flows.sync.source.opened import opened
from redrive.flows.sync.source.unreachable import SourceUnreachable
from tests.support.http_source import Reply, answering, serving
from tests.support.source_rows import rows


def pages(path: str, _headers: object) -> Reply:
    number = int(path.rpartition("=")[2] or 1) if "=" in path else 1
    link = {"Link": f'<https://example.com/>; rel="first", </csv?page={number + 1}>; rel=next'} if number < 3 else {}
    if path.startswith("/csv"):
        return Reply(f"id\n{number}\n".encode(), headers={"Content-Type": "text/csv", **link})
    following = f'"?page={number + 1}"' if number < 3 else "null"
    return Reply(
        f'{{"next": {following}, "rows": [{{"id": {number}}}]}}'.encode(), headers={"Content-Type": "application/json"}
    )


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_all_pages_are_followed(kind: str):
    with serving(pages) as url:
        assert rows(f"{url}/{kind}") == [{"id": "1"}, {"id": "2"}, {"id": "3"}]
        with (
            pytest.raises(PermanentError, match="more than 2 pages"),
            opened(f"{url}/{kind}", limits=Limits(pages=2)),
        ):
            pass


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"next": "/data?page=1", "rows": [{"id": 1}]}', "pages lead in circles"),
        ('{"next_cursor": "abc", "rows": [{"id": 1}]}', "has a further page"),
        ('{"has_more": true, "rows": [{"id": 1}]}', "has a further page"),
        ('{"next": {"page": 2}, "meta": {"next_page": 2}, "rows": [{"id": 1}]}', "has a further page"),
        ('{"next": "http://169.254.169.254/", "rows": [{"id": 1}]}', "no public address"),
    ],
)
def test_source_whose_pages_cannot_be_followed_is_never_half_read(content: str, said: str):
    with answering(200, content.encode(), "application/json") as url, pytest.raises(PermanentError, match=said):
        rows(f"{url}?page=1")


@pytest.mark.parametrize(
    "content",
    [
        '{"next": "/data?page=1&token=hidden", "rows": [{"id": 1}]}',
        '{"next": "http://169.254.169.254/?token=hidden", "rows": [{"id": 1}]}',
        '{"next_cursor": "abc", "rows": [{"id": 1}]}',
        '{"rows": [',
    ],
    ids=["pages in circles", "a page that is not allowed", "a page that is not named", "cut off"],
)
def test_login_and_query_of_an_address_are_in_no_error_of_what_it_sent(content: str):
    with answering(200, content.encode(), "application/json") as url, pytest.raises(PermanentError) as refused:
        rows(f"{url.replace('://', '://me:hidden@')}?page=1&token=hidden")

    assert "hidden" not in str(refused.value)


def test_login_and_query_of_an_address_are_not_in_its_label():
    with (
        answering(200, b"id\n1\n", "text/csv") as url,
        opened(f"{url.replace('://', '://me:hidden@')}?token=hidden") as source,
    ):
        assert source.label == url


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"total_count": 3, "rows": [{"id": 1}, {"id": 2}]}', "there are 3 rows (total_count), and sent 2"),
        ('{"meta": {"total": 300, "page": 1}, "rows": [{"id": 1}]}', "there are 300 rows (meta.total), and sent 1"),
        ('{"page": 1, "pages": 9, "rows": [{"id": 1}]}', "there are 9 pages (pages), and 1 were found"),
        ('{"total": 300, "rows": [{"id": 1}]}', ""),
        ('{"count": 2, "page": 1, "total_pages": 1, "rows": [{"id": 1, "total_count": 9}, {"id": 2}]}', ""),
    ],
)
def test_source_that_says_that_it_has_more_than_it_sent_is_a_warning(content: str, said: str):
    with answering(200, content.encode(), "application/json") as url, opened(url) as source:
        assert said in "".join(source.warnings)
        assert bool(source.warnings) == bool(said)


PACKED = gzip.compress(b"id\n1\n") + gzip.compress(b"2\n3\n")


@pytest.mark.parametrize("end", [len(PACKED) - 1, len(PACKED) - 9, 20])
def test_packed_answer_that_breaks_off_is_never_half_read(end: int):
    with answering(200, PACKED, "text/csv", {"Content-Encoding": "gzip"}) as url:
        assert rows(url) == [{"id": "1"}, {"id": "2"}, {"id": "3"}]
    with (
        answering(200, PACKED[:end], "text/csv", {"Content-Encoding": "gzip", "Content-Length": str(end)}) as url,
        pytest.raises(SourceUnreachable, match="broke off in the middle"),
    ):
        rows(url)


def test_answer_packed_in_another_way_is_refused():
    with (
        answering(200, b"id\n1\n", "text/csv", {"Content-Encoding": "br"}) as url,
        pytest.raises(PermanentError, match="packs its answer as 'br'"),
    ):
        rows(url)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("120", 120), ("Wed, 25 Nov 2026 10:00:30 GMT", 30), ("0", 1), ("99999999", 6 * 3600), ("soon", None)],
)
def test_retry_after_is_read_as_seconds_or_a_date(retry_after: str, seconds: float | None):
    assert wait_seconds(retry_after, datetime(2026, 11, 25, 10, tzinfo=UTC)) == seconds


def test_server_that_names_a_time_is_asked_again_then():
    with answering(429, b"", "text/plain", {"Retry-After": "90"}) as url, pytest.raises(Snooze) as snooze:
        rows(f"{url}?token=hidden")
    assert snooze.value.delay.total_seconds() == 90
    assert "hidden" not in str(snooze.value)


@pytest.mark.parametrize("hours", [1, -1])
def test_date_to_come_again_is_read_by_the_clock_of_the_server_that_names_it(hours: int):
    its_time = datetime.now(UTC) + timedelta(hours=hours)
    again = format_datetime(its_time + timedelta(seconds=90), usegmt=True)
    date = format_datetime(its_time, usegmt=True)
    page = Reply(b"", 429, {"Retry-After": again}, date=date)
    with serving(lambda _path, _headers: page) as url, pytest.raises(Snooze) as snooze:
        rows(url)
    assert snooze.value.delay.total_seconds() == 90


def test_answer_that_is_too_large_is_refused_before_it_arrives():
    sent = 0

    def endless(write: Callable[[bytes], object]) -> None:
        nonlocal sent
        while sent < 1 << 30:
            write(bytes(1 << 16))
            sent += 1 << 16

    announced = {"Content-Type": "text/csv", "Content-Length": str(10 * 1024**3)}
    with serving(lambda _path, _headers: Reply(headers=announced, write=endless)) as url:
        with pytest.raises(PermanentError, match="sends more than 2,048 MB"):
            rows(url)
        assert sent < 1 << 26
    with serving(lambda _path, _headers: Reply(write=endless)) as url:
        with pytest.raises(PermanentError, match="sends more than 4 MB"), opened(url, limits=Limits(megabytes=4)):
            pass
        assert sent < 1 << 27


def test_source_that_trickles_is_cut_off_by_the_total_time():
    going = threading.Event()

    def trickle(write: Callable[[bytes], object]) -> None:
        while not going.wait(0.02):
            write(b"1\n")

    with serving(lambda _path, _headers: Reply(write=trickle)) as url:
        try:
            with (
                pytest.raises(SourceUnreachable, match=r"not through after 0\.2 s"),
                opened(url, limits=Limits(seconds=0.2)),
            ):
                pass
        finally:
            going.set()
