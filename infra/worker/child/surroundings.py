"""Where a job runs in its child: its folder and environment, and everything as it was afterwards."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redrive.infra.worker.messages import Command


@contextmanager
def surroundings(command: Command) -> Generator[bool]:
    """Folder and environment of one job; whether Prefect's own settings are among what differs."""
    environment, folder, path = dict(os.environ), Path.cwd(), list(sys.path)
    scratch = None if command["working_dir"] else tempfile.mkdtemp(prefix="redrive-job-")
    for name, value in command["env"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    settings_changed = _prefect_settings(os.environ) != _prefect_settings(environment)
    os.chdir(command["working_dir"] or str(scratch))
    try:
        with ExitStack() as stack:
            if settings_changed:
                from prefect.context import SettingsContext
                from prefect.settings import Settings, get_current_settings

                from redrive.blocks.prefect.private import engine

                profile = SettingsContext.get()
                assert profile is not None, get_current_settings()  # noqa: S101  (importing Prefect made it)
                stack.enter_context(SettingsContext(profile=profile.profile, settings=Settings()))
                stack.enter_context(engine.WarmClientContext())
            yield settings_changed
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)


def _prefect_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Names with two underscores are notes of a worker to the run's process, not settings."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("PREFECT_") and not name.startswith("PREFECT__")
    }
