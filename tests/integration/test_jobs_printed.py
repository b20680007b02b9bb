"""What commands print: times in one form, nothing that steers the terminal."""

from __future__ import annotations

import json
import re

from redrive.deployments.enqueue import enqueue, wait_for
from tests.support.commands import Commands
from tests.support.hostile import HOSTILE, steers
from tests.support.job_stack import JobStack
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

PATIENCE = 120.0

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")

OURS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_times_in_json_have_one_form(job_stack: JobStack, redrive: Commands) -> None:
    dead = enqueue("test-hostile", {"text": "x"})
    wait_for(dead.id, timeout=PATIENCE)
    job_stack.dead_letter(dead.id)
    later = redrive("enqueue", "test-crowd", "--in", "1h", "--json")
    printed = [
        later,
        *(
            redrive(*arguments, "--json")
            for arguments in (
                ("jobs", "list"),
                ("jobs", "show", str(dead.id)),
                ("jobs", "logs", str(dead.id)),
                ("jobs", "cancel", json.loads(later)["id"]),
                ("dead", "list"),
                ("dead", "groups"),
                ("dead", "show", str(dead.id)),
                ("queues", "list"),
                ("status",),
                ("top",),
            )
        ),
    ]

    found = [text for one in printed for text in re.findall(r'"([^"]*)"', one) if ISO.match(text)]
    assert len(found) > 10
    assert [text for text in found if not OURS.fullmatch(text)] == []


def test_nothing_a_job_says_steers_the_terminal(job_stack: JobStack, redrive: Commands) -> None:
    text = " ".join(HOSTILE).replace("\x00", "").encode("utf-8", "replace").decode()
    dead = enqueue("test-hostile", {"text": text})
    wait_for(dead.id, timeout=PATIENCE)
    api().request("PATCH", "/flow_runs/{id}", path_params={"id": dead.id}, json={"name": text[:200]})
    row = job_stack.dead_letter(dead.id)
    wait_until(lambda: "[red]rich" in redrive("jobs", "logs", str(dead.id)), PATIENCE, "its log to arrive")

    def check(*arguments: str) -> None:
        shown, told = redrive(*arguments), redrive(*arguments, "--json")
        assert steers(shown + told) == [], arguments
        assert "[red]rich[/red]" in shown + told, f"{arguments}: the words stay"

    check("top")
    check("jobs", "list", "--limit", "500")
    check("jobs", "show", str(dead.id))
    check("jobs", "logs", str(dead.id))
    check("dead", "list")
    check("dead", "groups")
    with job_stack.ledger() as ledger:
        ledger.discard(row.id, who=text[:50], why=text)
    check("dead", "show", str(row.id))
    assert text in redrive.json("jobs", "show", str(dead.id))["job"]["parameters"].values()
