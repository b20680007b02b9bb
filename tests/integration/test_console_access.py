"""Who may see and do what in the console; and what it refuses, whoever asks."""

from __future__ import annotations

import re
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from fastapi.routing import APIRoute

from redrive.dashboards.console.app import PAGES
from redrive.deployments.enqueue import enqueue
from redrive.deployments.people.people import People
from tests.support.console import PATIENCE, client, sign_in_link, token_of
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack

SOME = "8d1c0c43-9f3e-4c55-8f6b-1d0f6a6c9b11"

OPEN = {"/sign-in", "/sign-in/link", "/alive"}

EDITORS = {"/jobs/{job_id}/edit", "/jobs/{job_id}/edit/check", "/types/{name}/policy"}

#: What any person may do to their own session.
OWN = {"/sign-out", "/theme"}


def routes() -> list[tuple[str, str]]:
    """Every route of every page, with its method."""
    found = [
        (method, route.path)
        for one in PAGES
        for route in one.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    ]
    assert len(found) > 30
    return found


def filled(path: str) -> str:
    return re.sub(r"\{[^}]+\}", SOME, path)


def test_nothing_but_signing_in_is_there_without_a_session(job_stack: JobStack) -> None:
    asked = [(method, path) for method, path in routes() if path not in OPEN]
    with client(job_stack, None) as nobody:
        for method, path in asked:
            answer = nobody.request(method, filled(path))
            assert answer.status_code == 303, (method, path, answer.status_code)
            assert answer.headers["location"].startswith("/sign-in"), (method, path)
            part = nobody.request(method, filled(path), headers={"HX-Request": "true"})
            assert (part.status_code, part.text) == (401, ""), (method, path)


def test_viewer_cannot_act_and_operator_cannot_edit(job_stack: JobStack) -> None:
    acts = [path for method, path in routes() if method == "POST" and path not in OPEN | OWN]
    for role, forbidden in (("viewer", acts), ("operator", [path for path in acts if path in EDITORS])):
        with client(job_stack, "eve", role) as eve:
            headers = {"X-CSRF-Token": token_of(eve)}
            assert len(forbidden) >= len(EDITORS)
            for path in forbidden:
                answer = eve.post(filled(path), headers=headers)
                assert answer.status_code == 403, (role, path, answer.status_code)
                assert f"eve is {role}" in answer.text
            assert eve.get(f"/jobs/{SOME}/edit").status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-CSRF-Token": "0" * 64},
        {"Origin": "https://evil.example", "X-CSRF-Token": "right"},
        {"Origin": "null", "X-CSRF-Token": "right"},
        {"Sec-Fetch-Site": "cross-site", "X-CSRF-Token": "right"},
    ],
    ids=["no token", "wrong token", "other origin", "no origin of its own", "other site"],
)
def test_form_of_another_site_is_refused(job_stack: JobStack, headers: dict[str, str]) -> None:
    with client(job_stack) as ada:
        right = token_of(ada)
        sent = {name: right if value == "right" else value for name, value in headers.items()}
        assert ada.post("/queues/low/pause", headers=sent).status_code == 403


def test_token_of_one_session_is_none_of_another(job_stack: JobStack) -> None:
    with client(job_stack) as ada, client(job_stack, "bob") as bob:
        assert ada.post("/queues/low/pause", headers={"X-CSRF-Token": token_of(bob)}).status_code == 403


def test_every_answer_forbids_what_is_inline_or_of_another_origin(job_stack: JobStack) -> None:
    with client(job_stack) as ada:
        for path in ("/", "/jobs", "/failures", "/sign-in", "/nowhere", "/static/console.js"):
            answer = ada.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            inline = r"<script(?![^>]*\bsrc=)|<style|<[^>]*\s(style|on\w+|(href|src)=.?javascript:)="
            assert "static" in path or not re.search(inline, answer.text), path


def test_operator_is_offered_nothing_that_only_an_editor_may_do(job_stack: JobStack) -> None:
    job = enqueue("test-permanent", {"folder": str(job_stack.folder("offered"))})
    row = job_stack.dead_letter(job.id)
    for role, offered in (("operator", False), ("editor", True)):
        with client(job_stack, role, role) as one:
            for path in (f"/jobs/{job.id}", f"/failures/{row.fingerprint}"):
                assert (f'href="/jobs/{job.id}/edit"' in one.get(path).text) is offered, (role, path)


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/\r\nSet-Cookie: a=b", "javascript:alert(1)"],
)
def test_nobody_is_sent_to_another_site(job_stack: JobStack, target: str) -> None:
    with client(job_stack) as ada:
        answer = ada.get("/sign-in", params={"next": target})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "a=b" not in str(answer.headers)


def test_no_header_is_injected(job_stack: JobStack) -> None:
    evil = "x\r\nSet-Cookie: planted=1\r\n\r\n<script>alert(1)</script>"
    with client(job_stack) as ada:
        token = {"X-CSRF-Token": token_of(ada)}
        answers = [
            ada.post("/views", data={"name": evil, "query": "state:dead"}, headers=token),
            ada.post("/views", data={"name": "planted", "query": evil}, headers=token),
            ada.post("/queues/low/resume", data={"why": evil}, headers=token),
            ada.post("/theme", data={"theme": evil}, headers=token),
            ada.post("/types/test-ok/enqueue", data={"p.folder": evil, "delay": "2h", "key": evil}, headers=token),
            ada.get("/jobs", params={"q": evil}),
            ada.get("/sign-in", params={"next": f"/jobs?q={evil}"}),
            ada.get(f"/failures/{quote(evil)}"),
        ]
        for answer in answers:
            assert answer.status_code < 500, answer.url
            given = {line.partition("=")[0] for line in answer.headers.get_list("set-cookie")}
            assert given <= {"notice", "theme", "redrive_session"}, answer.url
            assert not [value for value in answer.headers.values() if "\n" in value or "\r" in value], answer.url
        ada.post("/views/forget", data={"name": "planted"}, headers=token)


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"]
)
def test_static_files_are_those_of_their_folder_only(job_stack: JobStack, path: str) -> None:
    base = f"http://{job_stack.settings.host}:{job_stack.settings.console_port}"
    with httpx.Client(trust_env=False, timeout=PATIENCE) as nobody:
        answer = nobody.send(httpx.Request("GET", f"{base}/x", extensions={"target": path.encode()}))
    assert answer.status_code in {303, 404}
    assert "root:" not in answer.text
    assert "make_app" not in answer.text


def test_session_that_was_planted_is_not_taken_over(job_stack: JobStack) -> None:
    with client(job_stack, None) as victim:
        victim.cookies.set("redrive_session", "planted")
        answer = victim.get(sign_in_link(job_stack, "ada", "editor"))
        given = answer.cookies["redrive_session"]
        assert given != "planted"
        assert {"httponly", "samesite=lax"} <= set(answer.headers["set-cookie"].lower().replace("; ", ";").split(";"))
    with client(job_stack, None) as attacker:
        attacker.cookies.set("redrive_session", "planted")
        assert attacker.get("/").status_code == 303


def test_password_is_asked_for_a_few_times_only_and_a_removed_user_is_out(job_stack: JobStack) -> None:
    name = f"mallory {uuid4().hex[:6]}"
    with People(job_stack.settings.ledger_url()) as people:
        people.add(name, "viewer", "correct horse battery")
        try:
            with client(job_stack, None) as one:
                right = {"name": name, "password": "correct horse battery"}
                assert one.post("/sign-in", data=right).headers["location"] == "/"
                assert one.get("/jobs").status_code == 200
            with client(job_stack, None) as guesser:
                wrong = {"name": name, "password": "wrong"}
                assert [guesser.post("/sign-in", data=wrong).status_code for _ in range(6)] == [403] * 5 + [429]
                # Not even the right one is looked at now.
                assert guesser.post("/sign-in", data=right).status_code == 429
        finally:
            people.remove(name)
        with client(job_stack, None) as gone:
            gone.cookies = one.cookies
            wait_until(lambda: gone.get("/jobs").status_code == 303, 30, "the session of a removed user to end")
