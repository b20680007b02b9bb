"""The language in which people ask for jobs: what it means, and where it says it is wrong."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redrive.deployments.jobs.query_language import Query, QueryError, parsed

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOBS = ("sync", "mail")


def ask(text: str) -> Query:
    return parsed(text, NOW, jobs=JOBS, queues=("high", "low"))


def test_conditions_stand_side_by_side():
    found = ask('job:sync queue:high,low state:dead param.account:42 error:Timeout text:"no where.csv" since:2h word')

    assert found == Query(
        jobs=("sync",),
        queues=("high", "low"),
        states=("dead",),
        parameters=(("account", "42"),),
        errors=("Timeout",),
        texts=("no where.csv", "word"),
        since=NOW - timedelta(hours=2),
    )


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("queue:high job:sinc", "sinc", "did you mean sync?"),
        ("state:dead,dea", "dea", "did you mean dead?"),
        ("queu:high", "queu", "did you mean queue?"),
        ("since:yesterday", "yesterday", "write 30m"),
        ('state:dead text:"open', '"open', "no closing quote"),
        ("job:", "job:"[4:], "asks for nothing"),
    ],
)
def test_error_points_at_its_place(text: str, place: str, said: str):
    with pytest.raises(QueryError, match=said) as caught:
        ask(text)

    assert text[caught.value.at : caught.value.end] == place


def test_quotes_keep_what_stands_in_them():
    assert ask(r'text:"say \"no\"" "a:b"').texts == ('say "no"', "a:b")


@given(st.text())
def test_any_text_is_a_query_or_an_error_within_it(text: str):
    with suppress(QueryError):
        ask(text)
        return
    with pytest.raises(QueryError) as caught:
        ask(text)
    assert 0 <= caught.value.at < caught.value.end <= len(text) + 1
