"""Passwords, roles and the pace of signing in, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.requests import Request

from redrive.blocks.core.errors import ParameterError
from redrive.dashboards.console.access.pace import ADDRESS, FAILURES, FROM_ADDRESS, WINDOW, SignInPace
from redrive.dashboards.console.access.proxy import ProxyPeople
from redrive.dashboards.console.answers import inner
from redrive.deployments.people.password import fits, kept
from redrive.deployments.people.people import LINK, People
from redrive.deployments.people.person import Person, checked_name, checked_role


def test_password_fits_what_is_kept_of_it_and_no_other():
    stored = kept("correct horse battery")

    assert fits("correct horse battery", stored)
    assert not fits("correct horse batterz", stored)
    assert not fits("correct horse battery", None)
    assert stored != kept("correct horse battery")


def test_short_password_is_refused():
    with pytest.raises(ParameterError, match="10 to 1,000 characters"):
        kept("123456789")


def test_each_role_may_what_those_before_it_may():
    editor, operator, viewer = (Person(name="a", role=role) for role in ("editor", "operator", "viewer"))

    assert editor.may("operator")
    assert operator.may("viewer")
    assert not operator.may("editor")
    assert not viewer.may("operator")


def test_role_or_name_that_is_none_is_refused():
    with pytest.raises(ParameterError, match="did you mean 'editor'"):
        checked_role("edtor")
    with pytest.raises(ParameterError, match="no name"):
        checked_name("a\nb")


def test_name_is_tried_a_few_times_only_until_its_failures_are_old():
    now = [0.0]
    pace = SignInPace(lambda: now[0])
    for _ in range(FAILURES):
        assert pace.wait("as ada") == 0
        pace.failed("as ada")

    assert pace.wait("as ada") == WINDOW
    assert pace.wait("as bob") == 0
    now[0] = WINDOW + 1
    assert pace.wait("as ada") == 0


def test_address_is_shared_by_many_and_has_its_own_limit():
    pace = SignInPace(lambda: 0.0)
    for number in range(FROM_ADDRESS):
        assert pace.wait(f"{ADDRESS}10.0.0.1") == 0
        pace.failed(f"{ADDRESS}10.0.0.1", f"as {number}")

    assert pace.wait(f"{ADDRESS}10.0.0.1", "as nobody") > 0


def test_sign_in_that_succeeds_is_no_failure():
    pace = SignInPace(lambda: 0.0)
    for _ in range(FAILURES * 2):
        pace.failed("as ada")
        pace.forgive("as ada")

    assert pace.wait("as ada") == 0


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example/", "/\\evil", "jobs", "", "/a\r\nb"])
def test_way_back_leads_to_our_own_pages_only(path: str):
    assert inner(path) == "/"


def test_way_back_keeps_the_page_and_its_filter():
    assert inner("/jobs?q=state:dead") == "/jobs?q=state:dead"


def request_from(address: str, **headers: str) -> Request:
    raw = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "client": (address, 1), "headers": raw, "method": "GET", "path": "/"})


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[ProxyPeople]:
    with People(f"sqlite:///{tmp_path / 'people.db'}") as people:
        people.migrate()
        people.add("ada", "editor", "correct horse battery")
        yield ProxyPeople(people, ["10.1.0.0/16"], "X-Forwarded-User")


def test_trusted_proxy_names_a_user_with_the_role_they_have_and_others_as_viewers(proxied: ProxyPeople):
    ada = proxied.find(request_from("10.1.2.3", x_forwarded_user="ada"))
    eve = proxied.find(request_from("10.1.2.3", x_forwarded_user="eve"))

    assert ada is not None
    assert eve is not None
    assert (ada.person.role, eve.person.role) == ("editor", "viewer")
    assert ada.csrf != eve.csrf


@pytest.mark.parametrize(
    ("address", "header"), [("10.2.0.1", "ada"), ("10.1.0.1", ""), ("10.1.0.1", "a\x07da"), ("testclient", "ada")]
)
def test_nobody_is_named_from_elsewhere_or_by_no_name(proxied: ProxyPeople, address: str, header: str):
    assert proxied.find(request_from(address, x_forwarded_user=header)) is None


def test_link_signs_in_once_and_not_when_it_is_old(tmp_path: Path):
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    with People(f"sqlite:///{tmp_path / 'people.db'}", now=lambda: now[0]) as people:
        people.migrate()
        token, late = people.link("ada", "operator"), people.link("ada", "operator")

        assert people.redeem(token) == Person(name="ada", role="operator")
        assert people.redeem(token) is None
        now[0] += LINK + timedelta(seconds=1)
        assert people.redeem(late) is None


def test_session_follows_the_role_of_its_user_and_ends_with_them(tmp_path: Path):
    with People(f"sqlite:///{tmp_path / 'people.db'}") as people:
        people.migrate()
        ada = people.add("ada", "viewer", "correct horse battery")
        token = people.begin(ada, by_link=False)

        assert people.session(token) == ada
        people.remove("ada")
        assert people.session(token) is None
