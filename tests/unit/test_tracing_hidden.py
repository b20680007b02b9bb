"""What must not leave with a span does not, and what tells the cause does."""

from __future__ import annotations

import pytest

from redrive.blocks.tracing.hidden import LONGEST, MAYBE_CUT, SHORTEST, Hidden

PARAMETERS = {
    "password": "correct-horse",
    "customer": "Ada Lovelace",
    "source": "samples/data/nowhere.csv",
    "database": "postgresql://me:battery-staple@db/x",
    "template": "mail",
    "to": ["Ada <ada@example.com>", "bob@example.com"],
    "address": "https://data.example.com/exports/meier.csv?page=2",
    "rows": [{"iban": "DE89370400440532013000"}],
    "year": 2014,
}
ENVIRONMENT = {
    "SERVICE_API_TOKEN": "tok-marked",
    "DATABASE_URL": "postgresql://u:env-password@h/d",
    "LANG": "en_GB.UTF-8",
}


@pytest.fixture
def hidden() -> Hidden:
    return Hidden.of_job(PARAMETERS, ENVIRONMENT)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("samples/data/nowhere.csv does not exist", "{source} does not exist"),
        ("Ada Lovelace is unknown", "{customer} is unknown"),
        ("login with correct-horse failed", "login with *** failed"),
        ("the server said battery-staple", "the server said ***"),
        ("401 for tok-marked, env-password", "401 for ***, ***"),
        ("account DE89370400440532013000 is closed", "account {rows} is closed"),
        ("refused: ada@example.com (550 no such user)", "refused: {to} (550 no such user)"),
        ("bob@example.com, ada@example.com", "{to}, {to}"),
        ("meier.csv is no CSV; example.csv is", "{address} is no CSV; example.csv is"),
        ("nowhere.csv has no rows", "{source} has no rows"),
        ("no rows in 2014", "no rows in {year}"),
        ("Ada%20Lovelace and Ada+Lovelace", "{customer} and {customer}"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: ***"),
        ("ConnectionError: nobody answers", "ConnectionError: nobody answers"),
        ("a mailbox is full", "a mailbox is full"),
        ("en_GB.UTF-8 is not installed", "en_GB.UTF-8 is not installed"),
    ],
)
def test_values_of_the_job_do_not_leave(hidden: Hidden, text: str, shown: str) -> None:
    assert hidden.text(text) == shown


def test_a_parameter_that_is_allowed_by_name_leaves_and_a_secret_never() -> None:
    hidden = Hidden.of_job(PARAMETERS, {}, allowed=frozenset({"source", "password"}))

    assert hidden.text("samples/data/nowhere.csv, correct-horse") == "samples/data/nowhere.csv, ***"


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        (
            "url.full",
            "https://me:pw@api.example.com/v1/x?token=abc&page=2#f",
            "https://api.example.com/v1/x?token=***&page=***",
        ),
        ("http.url", "https://api.example.com/v1", "https://api.example.com/v1"),
        (
            "db.statement",
            "SELECT * FROM t WHERE name = 'O''Hara' AND n = 42",
            "SELECT * FROM t WHERE name = ? AND n = ?",
        ),
        ("db.query.text", "SELECT a1 FROM t2 WHERE x = $1", "SELECT a1 FROM t2 WHERE x = $1"),
        ("http.request.header.authorization", "whatever", "***"),
        ("redrive.job", "mail", "mail"),
        ("messaging.destination.name", "mail", "mail"),
        ("http.response.status_code", 500, 500),
        ("a.list", ["Ada Lovelace", 1, True], ["{customer}", 1, True]),
    ],
)
def test_attributes_are_cleaned_by_what_they_are(hidden: Hidden, key: str, value: object, shown: object) -> None:
    assert hidden.value(key, value) == shown


def test_a_long_text_keeps_its_end_within_the_vendors_limit(hidden: Hidden) -> None:
    said = hidden.text("begin" + "x" * 20_000 + "ValueError: the cause")

    assert len(said) == LONGEST
    assert said.startswith("begin")
    assert said.endswith("ValueError: the cause")


@pytest.mark.parametrize("value", ["correct-horse", "Ada Lovelace", "tok-marked"])
def test_a_text_that_was_cut_within_a_value_has_no_piece_of_it(hidden: Hidden, value: str) -> None:
    for size in range(SHORTEST, len(value)):
        cut_at_its_end = hidden.text("x" * MAYBE_CUT + " " + value[:size])
        cut_at_its_start = hidden.text(value[-size:] + " " + "x" * MAYBE_CUT)

        assert not cut_at_its_end.endswith(value[:size])
        assert not cut_at_its_start.startswith(value[-size:])


def test_a_short_text_may_end_with_a_word_that_a_value_begins_with(hidden: Hidden) -> None:
    assert hidden.text("that is not correct") == "that is not correct"


def test_of_a_job_with_very_many_values_no_text_leaves() -> None:
    hidden = Hidden.of_job({"rows": [{"id": f"row-{number}"} for number in range(100_000)]}, {})

    assert hidden.text("row-99999 is no number") == "***"
    assert hidden.value("redrive.job", "mail") == "mail"
