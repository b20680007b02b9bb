"""The `redrive` command: its parts are loaded only when they are called, so that `redrive status` stays quick.

Danger: errors of Redrive become one sentence on standard error and an exit code; anything else is a bug and shows its traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from cyclopts import App, CycloptsError

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.exit_codes import ExitCode, exit_code_of
from redrive.blocks.core.extras import what_to_install
from redrive.blocks.core.patience import PERSON, hurry
from redrive.blocks.core.settings import settings
from redrive.infra.cli.output import err

app = App(
    name="redrive",
    help="Background work on Prefect where no job disappears.",
    version_flags=["--version"],
    default_parameter=None,
    exit_on_error=False,
    print_error=False,
    result_action="return_value",
)

# Named as text: this folder may not import infra/, and nobody should wait for Prefect's import to read a help page.
app.command(
    "redrive.infra.cli.stack:up", name="up", help="Start the local stack: databases, Prefect, worker, mail server."
)
app.command("redrive.infra.cli.stack:down", name="down", help="Stop the local stack; data stays.")
app.command("redrive.infra.cli.stack:status", name="status", help="What runs and how it is.")
app.command(
    "redrive.infra.cli.stack:env",
    name="env",
    help='Exports that point Prefect\'s own commands at this stack: eval "$(redrive env)".',
)
app.command("redrive.infra.cli.stack:mail", name="mail", help="Read what the local mail server received.")
app.command(
    "redrive.infra.cli.check:check_command",
    name="check",
    help="Whether all that jobs need is as it should be.",
)
app.command("redrive.infra.cli.enqueue:enqueue_command", name="enqueue", help="Ask for one job.")
app.command("redrive.infra.cli.jobs:app", name="jobs", help="List, show, follow, retry, run again and cancel jobs.")

app.command("redrive.infra.cli.dead:app", name="dead", help="Dead letters: see them, run them again, discard them.")
app.command(
    "redrive.infra.cli.top:top_command",
    name="top",
    help="Watch queues, workers and dead letters; q leaves.",
)
app.command("redrive.infra.cli.console:app", name="console", help="Who may use the operator's console.")
app.command(
    "redrive.infra.cli.schedules:app", name="schedules", help="List, pause and resume schedules; start one's job now."
)
app.command("redrive.infra.cli.policy:app", name="policy", help="Show and override the retry policy of a job type.")
app.command("redrive.infra.cli.queues:app", name="queues", help="List, pause and resume the queues.")
app.command("redrive.infra.cli.new:app", name="new", help="Begin a job of your own, with its test.")
app.command(
    "redrive.infra.cli.dev:dev_command",
    name="dev",
    help="Run the jobs of a file, again whenever it changes, with their log.",
)
app.command(
    "redrive.infra.cli.backup:backup_command", name="backup", help="Save databases and results, while jobs run."
)
app.command("redrive.infra.cli.backup:restore_command", name="restore", help="Bring a backup back.")
app.command("redrive.infra.cli.completion:completion_command", name="completion", help="Completion for your shell.")


def main() -> NoReturn:
    """Run the command line and exit with one of `ExitCode`."""
    # `redrive jobs list | head` ends quietly, as other commands do.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        if sys.argv[1:2] not in (["up"], ["dev"]):
            hurry()
            # What `up` starts inherits its environment, and jobs have loggers and settings of their own.
            _point_prefect_here()
        result = app()
    except (RedriveError, TimeoutError) as error:
        err.print(f"redrive: {error}", soft_wrap=True)
        sys.exit(exit_code_of(error))
    except ImportError as error:
        if (advice := what_to_install(error, "this command")) is None:
            raise
        err.print(f"redrive: {advice}", soft_wrap=True)
        sys.exit(ExitCode.ERROR)
    except CycloptsError as error:
        err.print(f"redrive: {error}", soft_wrap=True)
        sys.exit(ExitCode.USAGE)
    except KeyboardInterrupt:
        err.print("redrive: interrupted; what was accepted goes on", soft_wrap=True)
        sys.exit(ExitCode.INTERRUPTED)
    sys.exit(result if isinstance(result, int) else ExitCode.OK)


def _point_prefect_here() -> None:
    """Prefect reads its settings when it is imported; until then the environment is the way to tell it where the API is."""
    here = settings()
    os.environ["PREFECT_API_URL"] = here.api_url
    if auth := here.auth_string():
        os.environ["PREFECT_API_AUTH_STRING"] = auth
    if here.external_api_url is None:
        os.environ.setdefault("PREFECT_RESULTS_LOCAL_STORAGE_PATH", str(here.home / "results"))
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    # What Prefect asks by itself, blocks for instance, must not keep a person waiting for minutes either.
    os.environ["PREFECT_API_REQUEST_TIMEOUT"] = str(PERSON)
    os.environ["PREFECT_CLIENT_MAX_RETRIES"] = "0"
    # Prefect warns about a server of another version with every command; `redrive check` is the place for that.
    os.environ.setdefault("PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED", "false")


if __name__ == "__main__":
    main()
