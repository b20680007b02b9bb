"""What people do to many at once in the console: to marked jobs, to all that match; and what they see before they do it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest

from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.enqueue import enqueue, enqueue_many
from redrive.deployments.jobs.actions import cancel_job
from redrive.deployments.people.people import People
from tests.support.console import PATIENCE, client, own_console
from tests.support.console_parts import part, states
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack


def waiting(stack: JobStack, name: str, many: int) -> list[UUID]:
    folder = str(stack.folder("acts"))
    return [enqueue("test-ok", {"folder": folder, "name": name}, delay=3600).id for _ in range(many)]


def test_marked_jobs_are_cancelled_with_a_reason_and_the_others_stay(job_stack: JobStack) -> None:
    jobs = waiting(job_stack, "marked", 3)
    with client(job_stack, "bob", "operator") as bob:
        form = {"id": [str(job) for job in jobs[:2]], "why": "asked for twice"}
        dry = bob.post("/jobs/many/cancel", data={**form, "dry_run": "1"}, headers=part(bob))
        assert "Would cancel 2 jobs" in dry.text
        assert states(jobs) == ["Scheduled"] * 3

        done = bob.post("/jobs/many/cancel", data=form, headers=part(bob))

        assert "Cancelled: 2 of 2 jobs" in done.text
        assert states(jobs) == ["Cancelled", "Cancelled", "Scheduled"]
        assert "cancelled by bob: asked for twice" in bob.get(f"/jobs/{jobs[0]}").text
        # The page that somebody else has open is old: what is over is not cancelled again.
        assert "Cancelled: 0 of 0 jobs" in bob.post("/jobs/many/cancel", data=form, headers=part(bob)).text
    cancel_job(jobs[2])


def test_all_jobs_that_match_are_cancelled_and_run_again(job_stack: JobStack) -> None:
    name = f"all-{uuid4().hex[:6]}"
    jobs, others = waiting(job_stack, name, 3), waiting(job_stack, "others", 1)
    q = f"job:test-ok param.name:{name}"
    with client(job_stack, "bob", "operator") as bob:
        assert bob.post("/jobs/many/cancel", data={"q": q}, headers=part(bob)).status_code == 422
        assert bob.post("/jobs/many/cancel", data={"all": "1"}, headers=part(bob)).status_code == 422
        everything = {"q": q, "all": "1"}
        assert "Cancelled: 3 of 3 jobs" in bob.post("/jobs/many/cancel", data=everything, headers=part(bob)).text
        again = bob.post("/jobs/many/rerun", data=everything, headers=part(bob))
        assert "Running again: 3 of 3 jobs" in again.text
        recorded = bob.get("/audit").text
    assert states(jobs) == ["Cancelled"] * 3
    assert states(others) == ["Scheduled"]
    assert "bulk cancel" in recorded
    assert f"jobs {q}" in recorded
    cancel_job(others[0])


def test_all_failures_that_match_are_redriven_and_no_others(job_stack: JobStack) -> None:
    word = uuid4().hex[:10]
    folder = job_stack.folder("everything")
    enqueue_many("test-many", [{"folder": str(folder), "message": f"{word} number {one}"} for one in range(3)])
    other = enqueue("test-many", {"folder": str(folder), "message": "not of those"})
    job_stack.dead_letter(other.id, timeout=PATIENCE)

    def counted(status: str) -> int:
        with job_stack.ledger() as ledger:
            return ledger.count(Filter(job="test-many", text=word, status=status))

    wait_until(lambda: counted("open") == 3, PATIENCE, "the failures")
    (folder / "mended").touch()
    with client(job_stack, "bob", "operator") as bob:
        assert "Redrive all <span data-fits>3</span>" in bob.get("/failures", params={"text": word}).text
        assert bob.get("/failures/fitting", params={"text": word}).text == "3"
        form = {"text": word, "all": "1", "why": "the word is known now"}
        dry = bob.post("/failures/bulk/redrive", data={**form, "dry_run": "1"}, headers=part(bob))
        assert "Would redrive 3 jobs" in dry.text
        assert counted("open") == 3

        assert "Redriving 3 jobs" in bob.post("/failures/bulk/redrive", data=form, headers=part(bob)).text

    wait_until(lambda: counted("resolved") == 3, PATIENCE, "all that match to be resolved")
    assert job_stack.dead_letter(other.id).status == "open"


def test_each_number_of_the_matrix_is_a_filter_that_finds_so_many(job_stack: JobStack) -> None:
    word, folder = uuid4().hex[:10], str(job_stack.folder("matrix"))
    for queue in ("high", "low"):
        job = enqueue("test-many", {"folder": folder, "message": word}, queue=queue).id
        job_stack.dead_letter(job, timeout=PATIENCE)

    with client(job_stack, "bob", "viewer") as bob:
        # What was counted a moment ago is shared for some seconds.
        def cells() -> dict[str, int]:
            found = re.findall(
                r'href="(/failures\?error=ValueError&amp;queue=[^"]*)">([\d,]+)</a>', bob.get("/failures").text
            )
            return {unescape(at): int(number.replace(",", "")) for at, number in found}

        def agree() -> bool:
            there = cells()
            with job_stack.ledger() as ledger:
                asked = {at: dict(parse_qsl(urlsplit(at).query)) for at in there}
                counted = {
                    at: ledger.count(
                        Filter(
                            status="open",
                            error_type=one["error"],
                            queue=one["queue"],
                            since=datetime.now(UTC) - timedelta(hours={"1h": 1, "24h": 24}[one["since"]])
                            if "since" in one
                            else None,
                        )
                    )
                    for at, one in asked.items()
                }
            return {one["queue"] for one in asked.values()} >= {"high", "low"} and counted == there

        wait_until(agree, PATIENCE, "the numbers of the matrix to be those of the ledger")
        at = next(at for at in cells() if "queue=high" in at and "since=1h" in at)
        assert word in bob.get(at).text
        assert word not in bob.get(at.replace("queue=high", "queue=bulk")).text


def test_view_is_forgotten_where_it_is_shown(job_stack: JobStack) -> None:
    with client(job_stack, "bob", "operator") as bob:
        view = {"name": f"view {uuid4().hex[:6]}", "query": "state:dead queue:low"}
        bob.post("/views", data=view, headers=part(bob))
        shown = bob.get("/jobs", params={"q": view["query"]}).text
        assert f"Forget the view {view['name']}" in shown

        bob.post("/views/forget", data=view, headers=part(bob))

        assert f"The view {view['name']} is gone" in bob.get("/jobs").text
        assert view["name"] not in bob.get("/jobs").text


def test_header_of_a_proxy_names_a_person_only_where_that_proxy_is_trusted(job_stack: JobStack) -> None:
    name = {"X-Forwarded-User": "proxied"}
    with People(job_stack.settings.ledger_url()) as people:
        people.add("proxied", "operator", "correct horse battery")
        try:
            with client(job_stack, None) as nobody:
                assert nobody.get("/acts", headers=name).status_code == 303
            with (
                own_console(job_stack, None, REDRIVE_CONSOLE_PROXIES="127.0.0.1/32") as (base, _),
                httpx.Client(base_url=base, trust_env=False, headers=name, timeout=PATIENCE) as proxied,
            ):
                shown = proxied.get("/acts")
                assert "<b>proxied</b><span>operator</span>" in shown.text
                assert "set-cookie" not in shown.headers
                # Without the token of a form there is no act, whoever the proxy says it is.
                assert proxied.post("/queues/low/pause").status_code == 403
                assert proxied.post("/queues/low/pause", headers=part(proxied)).status_code == 200
                assert proxied.post("/queues/low/resume", headers=part(proxied)).status_code == 200
                assert proxied.get("/acts", headers={"X-Forwarded-User": ""}).status_code == 303
        finally:
            people.remove("proxied")


def test_cause_that_failed_again_after_it_was_resolved_came_back(job_stack: JobStack) -> None:
    message = f"the cable of {uuid4().hex[:8]} is loose"
    first, second = job_stack.folder("came-back"), job_stack.folder("came-back-again")
    job = enqueue("test-fail-once", {"folder": str(first), "message": message}).id
    cause = job_stack.dead_letter(job, timeout=PATIENCE).fingerprint
    with client(job_stack, "bob", "operator") as bob:
        assert "It came back" not in bob.get(f"/failures/{cause}").text
        (first / "mended").touch()
        bob.post(f"/jobs/{job}/redrive", data={"why": "fixed"}, headers=part(bob))
        job_stack.dead_letter(job, status="resolved", timeout=PATIENCE)
        again = enqueue("test-fail-once", {"folder": str(second), "message": message}).id
        assert job_stack.dead_letter(again, timeout=PATIENCE).fingerprint == cause

        assert "It came back" in bob.get(f"/failures/{cause}").text
        assert "came back" in bob.get("/failures", params={"text": message}).text


def test_what_fails_after_a_bulk_act_was_asked_for_is_none_of_its_and_is_reported(job_stack: JobStack) -> None:
    message, folder = f"joined {uuid4().hex[:8]}", job_stack.folder("joined")
    enqueue_many("test-many", [{"folder": str(folder), "message": message}] * 2)

    def open_rows() -> int:
        with job_stack.ledger() as ledger:
            return ledger.count(Filter(job="test-many", text=message, status="open"))

    wait_until(lambda: open_rows() == 2, PATIENCE, "the failures")
    with client(job_stack, "bob", "operator") as bob:
        form = {"text": message, "all": "1", "rate": "1/h"}
        assert "Redriving 2 jobs" in bob.post("/failures/bulk/redrive", data=form, headers=part(bob)).text
        with job_stack.ledger() as ledger:
            act = next(one for one in ledger.bulk_acts.latest(limit=5) if one.who == "bob" and one.state == "running")
        late = enqueue("test-many", {"folder": str(folder), "message": message}).id
        job_stack.dead_letter(late, timeout=PATIENCE)

        wait_until(lambda: "of this kind failed since" in bob.get(f"/acts/{act.id}").text, PATIENCE, "it to be told")

        bob.post(f"/acts/{act.id}/stop", headers=part(bob))
        wait_until(lambda: "stopped by bob" in bob.get(f"/acts/{act.id}").text, PATIENCE, "the act to stop")
    assert job_stack.dead_letter(late).redrives == 0


def test_pause_says_to_everybody_who_asked_for_it_and_why(job_stack: JobStack) -> None:
    with client(job_stack, "bob", "operator") as bob, client(job_stack, "cleo", "viewer") as cleo:
        try:
            bob.post("/queues/low/pause", data={"why": "the printer is being mended"}, headers=part(bob))
            said = re.search(r"Paused by bob <time[^>]*>[^<]*</time>: the printer is being mended", cleo.get("/").text)
            assert said
        finally:
            bob.post("/queues/low/resume", headers=part(bob))
        assert "the printer is being mended" not in cleo.get("/").text
