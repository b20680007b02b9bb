"""How numbers and times read on a page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from redrive.dashboards.console.live.alerts import Firing, by_name
from redrive.dashboards.console.shown import environment
from redrive.dashboards.console.values import ago, capital, commands, compact, pace, percent, span
from tests.support.hostile import HOSTILE, steers


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7, "7"),
        (999, "999"),
        (1_000, "1.0k"),
        (9_940, "9.9k"),
        (28_697, "29k"),
        (1_234_567, "1.2M"),
        (45_000_000, "45M"),
    ],
)
def test_count_in_the_navigation_has_room(value: int, said: str):
    assert compact(value) == said
    assert len(said) <= 4


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.028, "28 ms"),
        (0.4, "0.4 s"),
        (1, "1 s"),
        (1.25, "1.2 s"),
        (60, "1 m"),
        (12, "12 s"),
        (200, "3 m 20 s"),
        (7_500, "2 h 5 m"),
        (273_600, "3 d 4 h"),
        (28_771_200, "333 d"),
    ],
)
def test_time_is_as_exact_as_it_is_worth(seconds: float, said: str):
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("rate", "said"),
    [(20, "20 a second"), (1, "1 a second"), (0.25, "15 a minute"), (1 / 60, "1 a minute"), (5 / 3600, "5 an hour")],
)
def test_pace_is_reported_in_the_unit_in_which_it_is_a_number(rate: float, said: str):
    assert pace(rate) == said


def test_message_of_an_error_is_shown_as_a_sentence():
    shown = environment().from_string("{{ message | capital | commands }}")

    assert shown.render(message="the ledger is down: see `redrive status`").startswith("The ledger is down: see <code>")


@pytest.mark.parametrize(("value", "said"), [(0, "0 %"), (0.2, "<1 %"), (0.6, "1 %"), (99.7, "100 %")])
def test_share_that_is_there_is_not_shown_as_nothing(value: float, said: str):
    assert percent(value) == said


def test_age_of_what_just_happened_needs_no_number():
    assert ">just now<" in ago(datetime.now(UTC))
    assert ">5 s ago<" in ago(datetime.now(UTC) - timedelta(seconds=5.2))
    assert ">2 m ago<" in ago(datetime.now(UTC) - timedelta(seconds=171))
    assert ">2 h 5 m ago<" in ago(datetime.now(UTC) - timedelta(seconds=7520))


@pytest.mark.parametrize("foreign", HOSTILE)
def test_nothing_that_a_page_shows_hides_or_reorders_what_stands_there(foreign: str):
    shown = environment().from_string('<p title="{{ text }}">{{ text }}</p>{{ text | commands }}').render(text=foreign)

    assert steers(shown) == []
    assert "<script" not in shown
    assert steers(commands(foreign)) == []


def test_markup_of_a_page_itself_and_words_of_every_script_stay():
    shown = environment().from_string("{{ icon('retry') }}{{ text }}").render(text="a\u00a0b\n北京\u200f é")

    assert shown.startswith("<svg")
    assert shown.endswith("a\u00a0b\n北京\u200f é")


def test_alerts_of_one_name_stand_together_in_the_order_of_their_weight():
    alerts = [
        Firing(name=name, severity="warning", said=said) for name, said in (("Old", "a"), ("Deep", "b"), ("Old", "c"))
    ]

    assert [(first.said, [one.said for one in others]) for first, others in by_name(alerts)] == [
        ("a", ["c"]),
        ("b", []),
    ]


def test_message_of_an_error_begins_as_a_sentence_does_unless_it_begins_with_a_name():
    assert capital("nothing was changed: redrive it as it is") == "Nothing was changed: redrive it as it is"
    assert capital("Prefect's API does not answer") == "Prefect's API does not answer"
    assert capital("max_tries=0 cannot work") == "max_tries=0 cannot work"
    assert capital("folder: a path is needed") == "folder: a path is needed"
    assert capital("") == ""
