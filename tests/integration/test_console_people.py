"""Who may use the console is said on the command line: by name and password, or by a link that signs in once."""

from __future__ import annotations

import io
import json
from uuid import uuid4

import pytest

from redrive.blocks.core.errors import Conflict, NotFound, ParameterError
from redrive.infra.cli.main import app
from tests.support.console import client
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack

PASSWORD = "correct horse battery"


def test_person_who_was_added_signs_in_and_is_out_once_removed(
    job_stack: JobStack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"mallory {uuid4().hex[:6]}"

    def add(role: str, password: str = PASSWORD) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        app(["console", "user", "add", name, "--role", role, "--password-stdin"])

    def listed() -> dict[str, str]:
        capsys.readouterr()
        app(["console", "user", "list", "--json"])
        return {one["name"]: one["role"] for one in json.loads(capsys.readouterr().out)}

    with pytest.raises(ParameterError, match="did you mean 'viewer'"):
        add("viewr")
    with pytest.raises(ParameterError, match="10 to 1,000 characters"):
        add("viewer", "short")
    add("viewer")
    with pytest.raises(Conflict, match="already"):
        add("editor")
    assert listed()[name] == "viewer"
    with client(job_stack, None) as signed_in:
        answer = signed_in.post("/sign-in", data={"name": name, "password": PASSWORD})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert f"<b>{name}</b><span>viewer</span>" in signed_in.get("/acts").text

        app(["console", "user", "remove", name])

        assert name not in listed()
        wait_until(lambda: signed_in.get("/acts").status_code == 303, 30, "the session of a removed person to end")
    with pytest.raises(NotFound, match="there is no user"):
        app(["console", "user", "remove", name])


def test_link_that_is_printed_signs_in_once_with_its_role(
    job_stack: JobStack, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    app(["console", "link", "--role", "operator", "--who", "grace", "--json"])
    url = json.loads(capsys.readouterr().out)["url"]

    with client(job_stack, None) as first, client(job_stack, None) as second:
        assert first.get(url).headers["location"] == "/"
        assert "<b>grace</b><span>operator</span>" in first.get("/acts").text
        assert second.get(url).status_code != 303
