"""`redrive jobs find|views`: the jobs that a filter of the console's language finds, and the filters that people keep under a name.

The same filters as the console's list of jobs, and the same views.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from redrive.blocks.core.errors import NotFound, ParameterError
from redrive.blocks.core.nearest import unknown
from redrive.blocks.core.plain_text import plain_text
from redrive.blocks.core.settings import settings
from redrive.infra.cli.actor import Who, acting
from redrive.infra.cli.output import ago, out, print_json, print_table, short_ids

if TYPE_CHECKING:
    from redrive.deployments.people.views import Views

Json = Annotated[bool, Parameter(name="--json", negative="")]
Words = Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")]

#: Jobs that are listed where nobody says how many.
SHOWN = 50
#: Whose views these are, as the console names its pages.
PAGE = "jobs"

views = App(name="views", help="The filters that people keep under a name, which the console shows too.")


def find_command(
    words: Words = None,
    *,
    view: str | None = None,
    limit: int | None = None,
    csv: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
) -> None:
    """List the jobs that a filter finds, the latest due first: job:sync queue:high state:dead param.account:42 error:Timeout since:2h.

    Args:
        words: Conditions, which must all hold: job, queue, state, error, text, param.NAME, name, worker, since, until. A word alone is
            looked for in message, error, name and parameters.
        view: Name of a saved view; what is given beside it must hold too.
        limit: At most this many: 50 if it is not given, with --csv all that fit.
        csv: Print CSV for a spreadsheet, as the console exports it.
        as_json: Print JSON.
    """
    from redrive.blocks.prefect.client import reachable
    from redrive.dashboards.console.export import as_csv
    from redrive.deployments.jobs import query
    from redrive.deployments.jobs.query_language import parsed
    from redrive.deployments.jobs.search import known_job_types
    from redrive.deployments.queue_names import queues

    if limit is not None and limit < 1:
        raise ParameterError(f"a limit of {limit} shows nothing; give 1 or more")
    text = " ".join([*([_kept(view)] if view else []), *map(_quoted, words or ())])
    with reachable():
        asked = parsed(text, datetime.now(UTC), jobs=known_job_types(), queues=tuple(queues()))
    if csv:
        sys.stdout.writelines(map(plain_text, as_csv(islice(query.all_jobs(asked), limit))))
        return
    found = list(islice(query.all_jobs(asked), limit or SHOWN))
    if as_json:
        print_json(found)
        return
    print_table(
        {
            "ID": "left",
            "JOB": "left",
            "QUEUE": "left",
            "STATE": "left",
            "DUE": "left",
            "NAME": "left",
            "MESSAGE": "left",
        },
        (
            (short, one.job, one.queue, one.status, ago(one.due), one.name, one.message or "")
            for one, short in zip(found, short_ids(one.id for one in found), strict=True)
        ),
        none="no job fits",
    )


@views.command(name="list")
def list_command(*, as_json: Json = False) -> None:
    """List the saved views.

    Args:
        as_json: Print JSON.
    """
    with _views() as kept:
        found = kept.all(PAGE)
    if as_json:
        print_json(found)
        return
    print_table(
        {"NAME": "left", "FILTER": "left", "BY": "left"},
        ((one.name, one.query, one.who) for one in found),
        none="nobody saved one yet; `redrive jobs views save NAME FILTER`",
    )


@views.command(name="save")
def save_command(name: str, words: Words = None, *, who: Who = None) -> None:
    """Keep a filter under a name, for everybody; one of that name is replaced.

    Args:
        name: Of the view.
        words: The filter, as `redrive jobs find` takes it.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
    """
    from redrive.deployments.jobs.query_language import parsed

    text = " ".join(map(_quoted, words or ()))
    parsed(text, datetime.now(UTC))
    by = acting(who)
    with _views() as kept, by.doing("save view", f"view {name}"):
        kept.save(PAGE, name, text, who=by.who)
    out.print(f"the view {name} is kept: `redrive jobs find --view {name}`", soft_wrap=True)


@views.command(name="forget")
def forget_command(name: str, *, who: Who = None) -> None:
    """Take a saved view away.

    Args:
        name: Of the view.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
    """
    _kept(name)
    with _views() as kept, acting(who).doing("forget view", f"view {name}"):
        kept.forget(name)
    out.print(f"the view {name} is gone", soft_wrap=True)


def _kept(name: str) -> str:
    """The filter of a view."""
    with _views() as kept:
        found = {one.name: one.query for one in kept.all(PAGE)}
    if name not in found:
        raise NotFound(unknown("view", name, sorted(found)))
    return found[name]


def _quoted(word: str) -> str:
    """A word as the language reads it: the shell took the quotes of what holds spaces."""
    if " " not in word or '"' in word:
        return word
    name, colon, value = word.partition(":")
    return f'{name}:"{value}"' if colon and " " not in name else f'"{word}"'


@contextmanager
def _views() -> Iterator[Views]:
    from redrive.deployments.people.people import People

    with People(settings().ledger_url()) as people:
        people.migrate()
        yield people.views
