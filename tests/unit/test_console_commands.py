"""What people can do in the console they can do on the command line, and the other way round: each act has its twin."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest
from cyclopts import App
from fastapi.routing import APIRoute

from redrive.dashboards.console.app import PAGES
from redrive.infra.cli.main import app

#: For each act of a page, the command that does the same.
TWINS = {
    "/queues/{name}/{act}": "queues pause low --why noon",
    "/jobs/many/{what}": "jobs cancel --job sync --state waiting",
    "/jobs/{job_id}/retry": "jobs retry 1b2c3d4e",
    "/jobs/{job_id}/redrive": "dead redrive 1b2c3d4e --why fixed",
    "/jobs/{job_id}/cancel": "jobs cancel 1b2c3d4e",
    "/jobs/{job_id}/rerun": "jobs rerun 1b2c3d4e",
    "/jobs/{job_id}/edit": "dead redrive 1b2c3d4e --params-json {}",
    "/failures/bulk/{what}": "dead discard --text refused --dry-run",
    "/failures/{fingerprint}/note": "dead note 1b2c3d4e5f60 text",
    "/acts/{act_id}/stop": "dead stop 1b2c3d4e",
    "/schedules/{schedule_id}/{act}": "schedules run reports --why noon --who ada",
    "/types/{name}/enqueue": "enqueue sync",
    "/types/{name}/policy": "policy set sync --max-tries 5 --why noon --who ada",
    "/views": "jobs views save mine state:dead",
    "/views/forget": "jobs views forget mine",
}
#: What is about the page itself.
OF_THE_PAGE = {"/sign-in", "/sign-out", "/theme", "/jobs/{job_id}/edit/check"}
#: What each page shows, and the command that shows it.
READ = {
    "/": "top --once",
    "/jobs": "jobs find state:dead",
    "/jobs.{kind}": "jobs find state:dead --csv",
    "/jobs/{reference}": "jobs show 1b2c3d4e",
    "/jobs/{job_id}/log": "jobs logs 1b2c3d4e --follow",
    "/jobs/{job_id}/why": "jobs why 1b2c3d4e",
    "/failures": "dead groups",
    "/failures/{fingerprint}": "dead list --fingerprint 1b2c3d4e5f60",
    "/slow": "jobs slow",
    "/acts": "dead acts",
    "/acts/{act_id}": "dead acts 1b2c3d4e",
    "/schedules": "schedules list",
    "/types/{name}": "policy show sync",
    "/audit": "console record",
}
#: Commands that act, by the page's act that does the same, which stands above.
ACTING = {command.split(" --")[0] for command in TWINS.values()}
#: Commands about the machine, the stack, and who may use the console: the console is a part of what they start.
OF_THE_MACHINE = {"up", "down", "status", "check", "env", "mail", "new", "dev", "backup", "restore", "completion"}


def routes(method: str) -> set[str]:
    return {
        route.path
        for page in PAGES
        for route in page.router.routes
        if isinstance(route, APIRoute) and method in route.methods
    }


def acting(within: App = app, before: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command that changes something: those that say who did it."""
    for name in within:
        if name.startswith("-"):
            continue
        one = within[name]
        if one.default_command is None:
            yield from acting(one, (*before, name))
        elif "who" in getattr(one.default_command, "__annotations__", {}):
            yield " ".join((*before, name))


def test_each_act_of_a_page_is_a_command_too() -> None:
    assert routes("POST") - OF_THE_PAGE == set(TWINS)


def test_each_page_of_the_console_has_a_command_that_shows_it() -> None:
    assert set(READ) <= routes("GET")


@pytest.mark.parametrize("command", [*TWINS.values(), *READ.values()])
def test_commands_are_taken_as_they_stand_here(command: str) -> None:
    app.parse_args(shlex.split(command), exit_on_error=False, print_error=False)


def test_each_command_that_acts_has_its_act_on_a_page() -> None:
    found = set(acting())

    assert len(found) > 10
    done = {" ".join(command.split()[:words]) for command in ACTING for words in (1, 2, 3)}
    assert {one for one in found if one.split()[0] not in OF_THE_MACHINE | {"console"}} - done <= SAME_PAGE


#: The other half of an act that stands above.
SAME_PAGE = {"queues resume", "schedules pause", "schedules resume", "policy clear"}
