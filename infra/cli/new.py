"""`redrive new job NAME`: a job of one's own, with its test, as a file to go on from."""

from __future__ import annotations

import keyword
import sys
from importlib.util import find_spec
from pathlib import Path

from cyclopts import App

from redrive.blocks.core.errors import CatalogError, Conflict
from redrive.blocks.core.settings import settings
from redrive.deployments.catalog import BUILT_IN
from redrive.infra.cli.output import out
from redrive.infra.local.project import near

app = App(name="new", help="Begin something of your own.")

JOB = '''\
"""{title} jobs."""

from __future__ import annotations

from redrive import current_job, job, step


@job(max_tries=3, backoff=[1, 10, 60])
def {name}(name: str = "world") -> str:
    """Say what this job does; Prefect shows it.

    Args:
        name: Each parameter is a field of the run form.
    """
    return greeting(name)


@step
def greeting(name: str) -> str:
    """What is tried again when it fails, and remembered once it completed."""
    # Put the key into what happens outside, a Message-ID for one: the same in every try and redrive of this job.
    return f"Hello, {{name}}! ({{current_job().name}})"
'''

TEST = '''\
"""{title} jobs, run in place: no server, the real retry policy."""

from __future__ import annotations

import redrive
from {module} import {name}


def test_{name}_completes_at_once() -> None:
    with redrive.testing.inline() as jobs:
        job = {name}.enqueue(name="Ada")

    assert job.result() == "Hello, Ada! ({job})"
    assert (jobs[0].state, jobs[0].tries) == ("Completed", 0)
'''


@app.command(name="job")
def job_command(name: str) -> None:
    """Write a job and its test into this folder; nothing that exists is written over.

    Args:
        name: Name of the job, like monthly-report; its file and function are called monthly_report.
    """
    module = name.replace("-", "_")
    if not module.isidentifier() or keyword.iskeyword(module) or module != module.lower():
        raise CatalogError(
            f"{name!r} cannot be a job's name: write lower-case letters, digits and dashes, like monthly-report"
        )
    if module in sys.stdlib_module_names or (not Path(f"{module}.py").exists() and find_spec(module) is not None):
        raise CatalogError(
            f"a file {module}.py would hide the module {module} that is there already: choose another name"
        )
    job_name = module.strip("_").replace("_", "-")
    if job_name in {one.name for one in BUILT_IN}:
        raise CatalogError(f"Redrive has a job {job_name!r} itself: choose another name")
    tests = Path("tests") if Path("tests").is_dir() else Path()
    texts = {"title": job_name.replace("-", " ").capitalize(), "name": module, "module": module, "job": job_name}
    files = {Path(f"{module}.py"): JOB.format(**texts), tests / f"test_{module}.py": TEST.format(**texts)}
    if there := [str(file) for file in files if file.exists()]:
        raise Conflict(f"{' and '.join(there)} {'is' if len(there) == 1 else 'are'} there already; nothing was written")
    for file, text in files.items():
        file.write_text(text)
        out.print(f"wrote {near(file.absolute())}", soft_wrap=True)
    known = [one for one in settings().jobs.split(",") if one]
    out.print(
        f"run its test with `pytest {tests / f'test_{module}.py'}`, the job with `redrive dev {module}.py` "
        f"or `redrive up {' '.join([*known, module])}`",
        soft_wrap=True,
    )
