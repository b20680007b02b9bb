"""`redrive console link|record|user add|user remove|user list`: who may use the operator's console, and what they did in it."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.settings import settings
from redrive.infra.cli.actor import Who, actor
from redrive.infra.cli.output import out, print_json, print_table

if TYPE_CHECKING:
    from redrive.deployments.people.people import People

Json = Annotated[bool, Parameter(name="--json", negative="")]

app = App(name="console", help="Who may use the operator's console.")
user = App(name="user", help="Add, remove and list people who sign in by name and password.")
app.command(user)


@app.command(name="link")
def link_command(*, role: str = "editor", who: Who = None, as_json: Json = False) -> None:
    """Print a link that signs in once, within half an hour.

    Args:
        role: viewer, operator (acts on jobs and failures) or editor (also changes parameters and policies).
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        as_json: Print JSON.
    """
    url = sign_in_link(actor(who), role)
    if as_json:
        print_json({"url": url})
    else:
        out.print(url, soft_wrap=True)


@user.command(name="add")
def add_command(name: str, *, role: str = "operator", password_stdin: bool = False, as_json: Json = False) -> None:
    """Let somebody sign in by name and password, which is asked for.

    Args:
        name: What the history shows for what they do.
        role: viewer, operator (acts on jobs and failures) or editor (also changes parameters and policies).
        password_stdin: Read the password from standard input instead of asking for it.
        as_json: Print JSON.
    """
    password = sys.stdin.readline().rstrip("\n") if password_stdin else getpass.getpass(f"password of {name}: ")
    with _people() as people:
        person = people.add(name, role, password)
    if as_json:
        print_json({"name": person.name, "role": person.role})
    else:
        out.print(f"{person.name} may sign in as {person.role}", soft_wrap=True)


@user.command(name="remove")
def remove_command(name: str, *, as_json: Json = False) -> None:
    """Take somebody's right to sign in away; whoever is signed in with it is out within seconds.

    Args:
        name: As it was added.
        as_json: Print JSON.
    """
    with _people() as people:
        people.remove(name)
    if as_json:
        print_json({"removed": name})
    else:
        out.print(f"{name} may not sign in any more", soft_wrap=True)


@user.command(name="list")
def list_command(*, as_json: Json = False) -> None:
    """List who may sign in by name and password.

    Args:
        as_json: Print JSON.
    """
    with _people() as people:
        found = people.all()
    if as_json:
        print_json([{"name": one.name, "role": one.role} for one in found])
        return
    print_table(
        {"NAME": "left", "ROLE": "left"},
        ((one.name, one.role) for one in found),
        none="nobody yet; `redrive console user add NAME`, or `redrive console link` for a link that signs in once",
    )


@app.command(name="record")
def record_command(*, by: str | None = None, limit: int = 50, as_json: Json = False) -> None:
    """List what people did, in the console or by a command, the newest first, also what was refused.

    Args:
        by: Only what this person did.
        limit: At most this many.
        as_json: Print JSON.
    """
    if limit < 1:
        raise ParameterError(f"a limit of {limit} shows nothing; give 1 or more")
    with _people() as people:
        found = people.acts(who=by, limit=limit)
    if as_json:
        print_json(found)
        return
    print_table(
        {"AT": "left", "WHO": "left", "WHAT": "left", "ABOUT": "left", "REASON": "left", "OUTCOME": "left"},
        ((f"{one.at:%Y-%m-%d %H:%M:%SZ}", one.who, one.what, one.about, one.why, one.outcome) for one in found),
        none="nobody did anything yet",
    )


def sign_in_link(who: str, role: str = "editor") -> str:
    """The address that signs this person in once."""
    from redrive.deployments.people.person import checked_role

    here = settings()
    with _people() as people:
        token = people.link(who, checked_role(role))
    host = here.host if here.host != "0.0.0.0" else "127.0.0.1"  # noqa: S104  (compared with)
    return f"http://{host}:{here.console_port}/sign-in/link?token={token}"


def _people() -> People:
    from redrive.deployments.people.people import People

    people = People(settings().ledger_url())
    people.migrate()
    return people
