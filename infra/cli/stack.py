"""The commands of the local stack: `up`, `down`, `status`, `env`, `mail list`, `mail show`.

Exit codes: see `redrive.blocks.core.exit_codes`.
"""

from __future__ import annotations

import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from redrive.blocks.core.counted import counted
from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.exit_codes import ExitCode, exit_code_of
from redrive.blocks.core.plain_text import plain_line, plain_text
from redrive.blocks.core.settings import settings as current
from redrive.blocks.process.worker_report import WorkerReport
from redrive.infra.cli.output import print_json
from redrive.infra.cli.own_jobs import use_jobs
from redrive.infra.local import stack
from redrive.infra.local.components import maildir
from redrive.infra.local.prefect_client import client_environment
from redrive.infra.local.project import near
from redrive.infra.local.status import StackStatus
from redrive.infra.local.status import status as ask

app = App(name="redrive", help="The local stack.")
mail = App(name="mail", help="Read what the local mail server kept.")
app.command(mail)


@app.command
def up(*modules: str, samples: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Start the local stack; return when all of it is healthy. Safe to repeat.

    Parameters
    ----------
    modules
        Modules or files with job types of your own, instead of those that the stack remembers.
    samples
        Then run the four sample jobs on the sample inputs and show what came out.
    """
    if modules:
        use_jobs(modules, besides=False)
    stack.up(current(), _report_line)
    if samples:
        _run_samples()
    _report_line(_welcome())


def _run_samples() -> None:
    settings = current()
    os.environ.update(client_environment(settings))
    os.environ["PREFECT_RESULTS_LOCAL_STORAGE_PATH"] = str(settings.home / "results")
    from redrive.infra.local.samples import run_samples

    run_samples(_report_line)


def _welcome() -> str:
    settings = current()
    lines = ["", *_console_lines(), f"Prefect UI  {settings.ui_url}"]
    if not settings.external_api_url and settings.auth_string():
        lines.append(f"            sign in with the text in {near(settings.auth_file)}")
    lines += [
        'commands    redrive top, redrive jobs list, redrive dead groups, redrive status; eval "$(redrive env)" for prefect\'s own',
        f"data        {near(settings.home)}",
    ]
    return "\n".join(lines)


def _console_lines() -> list[str]:
    from redrive.infra.cli.actor import actor
    from redrive.infra.cli.console import sign_in_link

    return [
        f"console     {sign_in_link(actor(None))}",
        "            signs in once; `redrive console link` prints another",
    ]


@app.command
def down() -> None:
    """Stop the local stack and keep its data. Safe to repeat."""
    stack.down(current(), _report_line)


@app.command
def status(*, json: bool = False) -> int:
    """Show what runs and works. Exits 3 unless everything is healthy.

    Parameters
    ----------
    json
        Print JSON for other programs.
    """
    found = ask(current())
    if json:
        print_json(found)
    else:
        _report_line(_table(found))
    return ExitCode.OK if found.healthy else ExitCode.UNHEALTHY


@app.command
def env() -> None:
    """Print exports that point Prefect's own commands at this stack: `eval "$(redrive env)"`."""
    exports = {"REDRIVE_HOME": str(current().home), **client_environment(current())}
    for name, value in exports.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


@mail.command(name="list")
def mail_list(*, json: bool = False) -> None:
    """List the kept messages, oldest first.

    Parameters
    ----------
    json
        Print JSON for other programs.
    """
    found = maildir.messages(_mail_folder())
    if json:
        print_json(found)
        return
    for one in found:
        columns = [one.id, f"{one.date:%Y-%m-%d %H:%M:%S}", ", ".join(one.recipients), one.subject]
        columns += [f"[{part.name}]" for part in one.attachments]
        _report_line(plain_line("  ".join(columns)))


@mail.command(name="show")
def mail_show(
    id: str,  # noqa: A002  (the word on the command line)
    *,
    html: Path | None = None,
    save: Path | None = None,
    json: bool = False,
) -> None:
    """Show one kept message.

    Parameters
    ----------
    id
        Its id, or the first characters of it.
    html
        Also write its HTML to this file.
    save
        Also write its attachments into this folder.
    json
        Print JSON for other programs.
    """
    message = maildir.content(_mail_folder(), id)
    if json:
        (described,) = (one for one in maildir.messages(_mail_folder()) if one.id.startswith(id))
        print_json(described)
    else:
        for name in ("Date", "From", "To", "Subject", "Message-ID"):
            if message[name]:
                _report_line(f"{name}: {plain_line(str(message[name]))}")
        _report_line("")
        _report_line(maildir.text(message))
    if html:
        html.write_text(maildir.html(message), errors="replace")
    if save:
        for file in maildir.save_attachments(message, save):
            sys.stderr.write(f"saved {file}\n")


def _mail_folder() -> Path:
    return current().home / "mail"


def _table(found: StackStatus) -> str:
    lines = [
        f"{one.name:<10} {one.state:<10} {f'pid {one.pid}' if one.pid else '':<12} "
        + (f"since {one.since.astimezone():%Y-%m-%d %H:%M:%S}" if one.since else "")
        + (f", {counted(one.restarts, 'restart')}" if one.restarts else "")
        for one in found.components
    ]
    places = [
        "",
        f"console    {found.urls['console']}",
        f"Prefect UI {found.urls['ui']}",
        f"metrics    {found.urls['metrics']}",
        f"home       {found.home}",
    ]
    problems = [f"{one.name}: {one.problem}" for one in found.components if one.problem]
    if found.problem:
        problems.insert(0, found.problem)
    if problems:
        lines += ["", *map(plain_line, problems)]
    return "\n".join(line.rstrip() for line in [*lines, *_workers(found.workers), *places])


def _workers(found: list[WorkerReport]) -> list[str]:
    """Each warm worker with its slots: what is in them, and for how long."""
    lines = []
    for one in found:
        state = ", draining" if one.draining else ""
        lines += ["", f"{one.name} on {one.host}: {len(one.busy)} of {one.slots} slots busy{state}"]
        for slot in sorted(one.busy, key=lambda slot: slot.since):
            seconds = (datetime.now(UTC) - datetime.fromisoformat(slot.since)).total_seconds()
            again = f", attempt {slot.attempt}" if slot.attempt > 1 else ""
            lines.append(f"  {slot.job:<20} {slot.run_id}  {slot.queue:<8} for {seconds:.1f} s{again}")
        if one.spans:
            lines.append("  spans: " + ", ".join(f"{count} {what}" for what, count in one.spans.items()))
    return lines


def _report_line(text: str) -> None:
    sys.stdout.write(f"{plain_text(text)}\n")
    sys.stdout.flush()


def main() -> None:
    """Run a command; an error is one sentence on stderr."""
    try:
        result = app(result_action="return_value")
    except RedriveError as error:
        sys.stderr.write(f"redrive: {plain_text(str(error))}\n")
        sys.exit(exit_code_of(error))
    sys.exit(result if isinstance(result, int) else ExitCode.OK)


if __name__ == "__main__":
    main()
