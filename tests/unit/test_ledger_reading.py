"""Reading the ledger: pages, filters, causes, one row by its id, sums."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from redrive.blocks.core.errors import Conflict, NotFound, ParameterError, RedriveError
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter, Ledger
from redrive.deployments.dead_letters.ledger.grouping import ROWS_LIMIT
from tests.support.deaths import START, a_death, an_id, varied


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        ledger.migrate()
        yield ledger


def test_pages_hold_every_row_once_in_order(ledger: Ledger):
    deaths = [a_death(after=number // 3) for number in range(25)]
    ledger.record_all(deaths)

    seen, cursor = [], None
    while True:
        page = ledger.find(limit=4, cursor=cursor)
        seen += page.rows
        cursor = page.next
        if cursor is None:
            break

    assert {row.run_id for row in seen} == {death.run_id for death in deaths}
    assert len(seen) == 25
    assert seen == sorted(seen, key=lambda row: (row.last_failure, row.id), reverse=True)
    assert list(ledger.find(oldest_first=True).rows) == seen[::-1]


@pytest.mark.parametrize("cursor", ["nonsense", "", "bnVsbA", "W10"])
def test_wrong_cursor_is_refused(ledger: Ledger, cursor: str):
    with pytest.raises(ParameterError, match="no page"):
        ledger.find(cursor=cursor)


FILTERS = [
    Filter(),
    Filter(status="open"),
    Filter(status="redriven"),
    Filter(job="job-a"),
    Filter(queue="low", status="open"),
    Filter(error_type="lib.ErrorB"),
    Filter(reason="crash"),
    Filter(job="job-a", queue="high"),
    Filter(since=START + timedelta(seconds=30)),
    Filter(until=START + timedelta(seconds=30), job="job-b"),
    Filter(text="REFUSED"),
    Filter(text="100%_nothing"),
    Filter(fingerprint="a"),
    Filter(fingerprint="ABC"),
    Filter(job="nobody"),
    Filter(batch=uuid4()),
]


@pytest.mark.parametrize("asked", FILTERS, ids=lambda asked: ",".join(sorted(asked.model_fields_set)) or "none")
def test_find_count_and_groups_agree_with_a_plain_search(ledger: Ledger, asked: Filter):
    ledger.record_all(varied(120))
    for row in ledger.find(limit=30).rows:
        ledger.claim_for_redrive(row.id, who="ann")
    everything = ledger.find(limit=1000).rows

    def fits(row: DeadLetter) -> bool:
        return (
            all(getattr(asked, name) in {None, getattr(row, name)} for name in ("status", "job", "queue", "error_type", "reason"))
            and row.fingerprint.startswith(asked.fingerprint or "")
            and (asked.since is None or row.last_failure >= asked.since)
            and (asked.until is None or row.last_failure < asked.until)
            and (asked.text or "").lower() in row.message.lower()
            and asked.batch is None
        )  # fmt: skip

    expected = [row for row in everything if fits(row)]
    groups = ledger.groups(asked)
    assert list(ledger.find(asked, limit=1000).rows) == expected
    assert ledger.count(asked) == len(expected)
    assert {group.fingerprint: group.count for group in groups} == {
        one: sum(row.fingerprint == one for row in expected) for one in {row.fingerprint for row in expected}
    }
    for group in groups:
        members = [row for row in expected if row.fingerprint == group.fingerprint]
        assert group.open == sum(row.status == "open" for row in members)
        assert group.jobs == tuple(sorted({row.job for row in members}))
        assert group.queues == tuple(sorted({row.queue for row in members}))


def test_groups_come_with_most_open_ones_first_and_the_newest_message(ledger: Ledger):
    ledger.record_all([a_death(after=n, message=f"disk {n} is full") for n in range(3)])
    ledger.record(a_death(after=50, message="no network"))

    many, one = ledger.groups()

    assert (many.count, many.open, many.message, many.first_seen) == (3, 3, "disk 2 is full", START)
    assert many.last_seen == START + timedelta(seconds=2)
    assert one.sample_id == ledger.find(Filter(text="network")).rows[0].id
    assert len(ledger.groups(limit=1)) == 1


def test_groups_by_text_say_when_they_saw_only_the_newest_rows(ledger: Ledger):
    ledger.record_all([a_death(after=n, message=f"disk {n} is full") for n in range(ROWS_LIMIT + 1)])

    (some,) = ledger.groups(Filter(text="full"))
    (few,) = ledger.groups(Filter(text="disk 7"), limit=5)

    assert (some.count, some.partial) == (ROWS_LIMIT, True)
    assert some.first_seen == START + timedelta(seconds=1)
    assert few.count == sum(str(n).startswith("7") for n in range(ROWS_LIMIT + 1))
    assert not few.partial


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_sample_of_a_group_is_the_newest_death_in_whatever_order_they_are_reported(
    ledger: Ledger, order: tuple[int, int]
):
    for after in order:
        ledger.record(a_death(after=after, message=f"disk {after} is full"))

    (group,) = ledger.groups()
    assert (group.message, group.last_seen) == ("disk 2 is full", START + timedelta(seconds=2))
    assert group.first_seen == START + timedelta(seconds=1)


def test_row_is_found_by_either_id_or_its_first_digits(ledger: Ledger):
    death = a_death()
    row_id = ledger.record(death).id

    for asked in (row_id, death.run_id, str(row_id)[:8], str(death.run_id)[:10], death.run_id.hex.upper()):
        assert ledger.get(asked).id == row_id


def test_id_that_is_not_there_names_the_nearest(ledger: Ledger):
    row_id = str(ledger.record(a_death()).id)
    wrong = ("0" if row_id[0] != "0" else "1") + row_id[1:]

    with pytest.raises(NotFound, match=f"did you mean {row_id}"):
        ledger.get(wrong)


@pytest.mark.parametrize(
    ("asked", "error"), [("abc", ParameterError), ("not-an-id", NotFound), ("", NotFound), ("f" * 33, NotFound)]
)
def test_what_is_no_id_is_refused(ledger: Ledger, asked: str, error: type[RedriveError]):
    with pytest.raises(error):
        ledger.get(asked)


def test_prefix_of_two_rows_is_a_conflict(ledger: Ledger):
    one = an_id()
    other = type(one)(int=one.int ^ 1)
    ledger.record_all([a_death(run_id=one), a_death(run_id=other)])

    with pytest.raises(Conflict, match="more digits"):
        ledger.get(str(one)[:12])


def test_fingerprint_prefix_finds_the_one_cause_or_says_why_not(ledger: Ledger):
    with pytest.raises(NotFound, match="empty"):
        ledger.fingerprint("abc")
    ledger.record_all(varied(60))
    known = ledger.groups()[0].fingerprint

    assert ledger.fingerprint(known[:11]) == known
    with pytest.raises(NotFound, match=r"newest causes are [0-9a-f]{12}"):
        ledger.fingerprint("0123456789ab")
    with pytest.raises(ParameterError, match="no fingerprint"):
        ledger.fingerprint("xyz")


def test_totals_and_oldest_count_only_what_is_there(ledger: Ledger):
    ledger.record_all([a_death(after=n, queue=queue) for n, queue in enumerate(["high", "low", "high"])])
    closed = ledger.find(oldest_first=True).rows[0]
    ledger.discard(closed.id, who="ann")

    assert {(t.status, t.queue, t.count) for t in ledger.totals()} == {
        ("discarded", "high", 1),
        ("open", "high", 1),
        ("open", "low", 1),
    }
    assert ledger.oldest_open() == {
        ("high", "send-mail"): START + timedelta(seconds=2),
        ("low", "send-mail"): START + timedelta(seconds=1),
    }


def test_cursor_of_a_sweep_is_kept(ledger: Ledger):
    assert ledger.cursor("finished") is None

    ledger.set_cursor("finished", "a")
    ledger.set_cursor("finished", "b")

    assert ledger.cursor("finished") == "b"


def test_ledger_without_tables_says_what_to_do(tmp_path: Path):
    with Ledger(f"sqlite:///{tmp_path}/new.db") as ledger, pytest.raises(RedriveError, match="no tables yet"):
        ledger.count()


def test_migrating_twice_changes_nothing(ledger: Ledger):
    ledger.record(a_death())

    ledger.migrate()

    assert ledger.count() == 1


@pytest.mark.parametrize("given", [{"status": "lost"}, {"fingerprint": "xyz"}, {"colour": "red"}])
def test_filter_that_makes_no_sense_is_refused(given: dict[str, str]):
    with pytest.raises(ParameterError):
        Filter(**given)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_page_size_has_bounds(ledger: Ledger, limit: int):
    with pytest.raises(ParameterError, match="1 to 1000"):
        ledger.find(limit=limit)
