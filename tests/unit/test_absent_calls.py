"""A server that lacks our calls is asked in Prefect's way, and is not asked for them again for a while."""

from __future__ import annotations

import httpx
import pytest

from redrive.blocks.prefect.requests import fast


@pytest.fixture(autouse=True)
def _unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast.ABSENCE, "until", 0.0)
    monkeypatch.delenv("REDRIVE_FAST_SERVER", raising=False)


def asked(status: int) -> str:
    """Which way a client goes after an answer with this status."""
    with fast.UnlessAbsent():
        httpx.Response(status, request=httpx.Request("POST", "http://127.0.0.1/api")).raise_for_status()
        return "ours"
    return "Prefect's"


@pytest.mark.parametrize("status", [404, 405, 501])
def test_server_without_the_call_is_left_alone_for_a_while(status: int) -> None:
    assert asked(status) == "Prefect's"
    assert not fast.may_be_there()


def test_server_of_another_release_is_asked_again() -> None:
    assert asked(422) == "Prefect's"
    assert fast.may_be_there()


@pytest.mark.parametrize("status", [401, 409, 500, 503])
def test_refusal_is_no_absence(status: int) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        asked(status)
    assert fast.may_be_there()


def test_server_that_has_the_call_is_asked_for_it() -> None:
    assert asked(200) == "ours"
    assert fast.may_be_there()


def test_no_answer_is_no_absence() -> None:
    with pytest.raises(httpx.ConnectError), fast.UnlessAbsent():
        raise httpx.ConnectError("nobody is there")
    assert fast.may_be_there()
