"""Becomes one component: `python -m redrive.infra.local.launch COMPONENT`, run by supervisord.

It replaces itself by the real program (exec), so that the process supervisord watches is the one that works. Secrets
are computed here and handed over in the environment: never in an argument list, never in a configuration file.

Danger: runs at every restart of every component; what is imported here is waited for each time.
"""

from __future__ import annotations

import os
import sys

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.settings import Settings
from redrive.infra.local.component import Component, Program
from redrive.infra.local.components.all import component
from redrive.infra.local.marks import marks
from redrive.infra.local.process import become, end_with_parent


def main(name: str) -> None:
    """Run the component of that name in place of this process; what forbids it is one sentence in its log."""
    try:
        _become_component(name)
    except RedriveError as error:
        sys.exit(f"redrive: {error}")


def _become_component(name: str) -> None:
    settings = Settings.load()
    part = component(name, settings)
    end_with_parent(part.stop_signal)
    part.count_start()
    account = part.account
    if account is not None:
        become(account)
        end_with_parent(part.stop_signal)  # the kernel forgets it when the account changes
    program = part.program()
    os.chdir(part.folder)
    os.execve(program.argv[0], program.argv, environment_of(part, program))  # noqa: S606  (no shell is wanted)


def environment_of(part: Component, program: Program) -> dict[str, str]:
    """What a component's process gets: its own, marks, and what this one has, as far as it may have that."""
    inherited = {key: value for key, value in _inherited().items() if key not in program.without}
    return {**program.defaults, **inherited, **program.environment, **marks(part.settings, part.name)}


def _inherited() -> dict[str, str]:
    # A Prefect profile of the person who called `redrive up` is none in the stack's own PREFECT_HOME.
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("SUPERVISOR_") and key != "PREFECT_PROFILE"
    }


if __name__ == "__main__":
    main(sys.argv[1])
