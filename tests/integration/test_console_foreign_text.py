"""What jobs and strangers wrote is shown as text, and what is secret is not shown."""

from __future__ import annotations

import pytest

from redrive.blocks.core.plain_text import plain_text
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import runs as requests
from redrive.deployments.enqueue import enqueue
from tests.support.console import PATIENCE, client, token_of
from tests.support.hostile import HOSTILE, steers
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack


def test_foreign_text_is_shown_as_text(job_stack: JobStack) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    job = enqueue("test-hostile", {"text": evil})
    row = job_stack.dead_letter(job.id)
    with client(job_stack) as ada:
        token = {"X-CSRF-Token": token_of(ada)}
        assert ada.post(f"/failures/{row.fingerprint}/note", data={"note": evil}, headers=token).status_code == 303
        # Names of jobs, of views and of people, and a reason that everybody is shown.
        ask(requests.update(job.id, {"name": evil}))
        assert ada.post("/views", data={"name": evil[:60], "query": evil}, headers=token).status_code == 303
        assert ada.post("/queues/low/pause", data={"why": evil}, headers=token).status_code == 303
        pages = (
            "/",
            "/jobs",
            f"/jobs/{job.id}/now",
            f"/jobs/{job.id}/why",
            "/jobs.csv?q=job:test-hostile",
            f"/jobs/{job.id}",
            f"/jobs/{job.id}/edit",
            "/failures",
            f"/failures/{row.fingerprint}",
            f"/jobs?q={evil}",
            f"/failures?text={evil}",
            f"/audit?who={evil}",
            "/audit",
            f"/sign-in?next={evil}",
        )
        for path in pages:
            text = ada.get(path, follow_redirects=True).text
            if not path.startswith("/jobs.csv"):
                assert "<script>alert" not in text, path
                assert "<img src=x" not in text, path
        assert "&lt;script&gt;alert" in ada.get(f"/jobs/{job.id}").text
        with ada.stream("GET", f"/jobs/{job.id}/log") as log:
            sent = next(chunk for chunk in log.iter_text() if "alert(1)" in chunk)
        assert "<script>" not in sent
        assert ada.get("/jobs.csv?q=job:test-hostile").headers["content-type"].startswith("text/csv")
        ada.post("/views/forget", data={"name": evil[:60]}, headers=token)
        ada.post("/queues/low/resume", headers=token)


def test_nothing_a_job_says_hides_or_reorders_what_a_page_shows(job_stack: JobStack) -> None:
    text = " ".join(HOSTILE).replace("\x00", "").encode("utf-8", "replace").decode()
    job = enqueue("test-hostile", {"text": text})
    row = job_stack.dead_letter(job.id)
    ask(requests.update(job.id, {"name": text[:200]}))
    with client(job_stack) as ada:
        token = {"X-CSRF-Token": token_of(ada)}
        ada.post(f"/failures/{row.fingerprint}/note", data={"note": text}, headers=token)
        ada.post("/queues/low/pause", data={"why": text[:400]}, headers=token)
        wait_until(lambda: "[red]rich" in ada.get(f"/jobs/{job.id}").text.partition('role="log"')[2], 60, "its log")
        try:
            for path in (
                "/",
                "/jobs",
                f"/jobs/{job.id}",
                f"/jobs/{job.id}/now",
                f"/jobs/{job.id}/edit",
                "/failures",
                f"/failures/{row.fingerprint}",
                "/audit",
            ):
                answer = ada.get(path)
                assert answer.status_code == 200, path
                assert steers(answer.text) == [], path
            # The form of its parameters shows what it cannot keep, and sent as it is it changes nothing.
            sent = {"p.text": plain_text(text)}
            same = ada.post(f"/jobs/{job.id}/edit", data=sent, headers={**token, "HX-Request": "true"})
            assert (same.status_code, "Nothing was changed" in same.text) == (422, True)
        finally:
            ada.post("/queues/low/resume", headers=token)


def test_secrets_are_in_no_page(job_stack: JobStack) -> None:
    secret = "hunter2-and-a-half"
    job = enqueue(
        "test-fail-once",
        {
            "folder": str(job_stack.folder("secret")),
            "message": f"password={secret} was refused",
            "password": secret,
        },
    )
    row = job_stack.dead_letter(job.id)
    with client(job_stack) as ada:
        for path in (
            f"/jobs/{job.id}",
            f"/jobs/{job.id}/now",
            f"/jobs/{job.id}/edit",
            f"/failures/{row.fingerprint}",
            "/failures",
            f"/jobs?q=name:{job.id}",
        ):
            answer = ada.get(path)
            assert answer.status_code == 200, path
            assert secret not in answer.text, path
        # Nor can it be guessed by asking for jobs that have it.
        assert str(job.id) not in ada.get("/jobs", params={"q": f"param.password:{secret}"}).text


def test_edit_that_keeps_a_masked_text_keeps_the_secret_in_it(job_stack: JobStack) -> None:
    secret = "hunter2-and-a-half"
    message = f"https://user:{secret}@example.com refused"
    folder = job_stack.folder("masked")
    job = enqueue("test-fail-once", {"folder": str(folder), "message": message, "password": secret})
    job_stack.dead_letter(job.id)
    fixed = job_stack.folder("masked-fixed")
    (fixed / "mended").touch()
    with client(job_stack) as ada:
        token = {"X-CSRF-Token": token_of(ada), "HX-Request": "true"}
        masked = message.replace(secret, "***")
        kept = {"p.folder": str(fixed), "p.message": masked, "p.password": ""}
        broken = ada.post(f"/jobs/{job.id}/edit", data={**kept, "p.message": f"{masked}!"}, headers=token)
        assert broken.status_code == 422
        assert "write what it hides anew" in broken.text
        assert ada.post(f"/jobs/{job.id}/edit", data=kept, headers=token).status_code == 200
    row = job_stack.dead_letter(job.id, status="resolved", timeout=PATIENCE)
    assert row.replaced_by_run_id is not None
    new = runs.by_id([row.replaced_by_run_id])[row.replaced_by_run_id]
    assert new.parameters == {"folder": str(fixed), "message": message, "password": secret}
