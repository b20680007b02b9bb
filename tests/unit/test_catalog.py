"""Job types of a project: a broken module is named in one sentence and harms no other."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redrive.blocks.core.errors import CatalogError, UnknownJob
from redrive.blocks.core.settings import Settings, settings
from redrive.deployments.catalog import BUILT_IN, catalog, complete_catalog, forget, job_type, problems
from redrive.deployments.job_type import JobType
from redrive.deployments.schedule import Schedule
from redrive.infra.local.job_modules import check_job_modules

GOOD = 'from redrive.deployments.job_type import JobType\nJOBS = [JobType("good-one", entrypoint="good_jobs.run")]\n'

Modules = Callable[..., Settings]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Modules]:
    """Writes job modules and points REDRIVE_JOBS at them."""

    def written(**texts: str) -> Settings:
        for name, text in texts.items():
            (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.setenv("REDRIVE_JOBS", ",".join(texts))
        settings.cache_clear()
        forget()
        return settings()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDRIVE_HOME", str(tmp_path / ".redrive"))
    before = dict(sys.modules)
    yield written
    for name in sys.modules.keys() - before.keys():
        del sys.modules[name]
    settings.cache_clear()
    forget()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("JOBS = [Jobtype()]\n", "NameError: name 'Jobtype' is not defined (bad_jobs.py, line 1)"),
        ("JOBS = [\n", "SyntaxError: '[' was never closed (bad_jobs.py, line 1)"),
        ("import sys\nsys.exit('no')\n", "SystemExit: no (bad_jobs.py, line 2)"),
        ("JOB = []\n", "it has no list JOBS and no job"),
        ("JOBS = [3]\n", "JOBS holds 3, which is no JobType"),
        (GOOD, "two job types are named 'good-one'"),
    ],
)
def test_broken_module_is_left_out_and_named(modules: Modules, text: str, says: str) -> None:
    modules(good_jobs=GOOD, bad_jobs=text)

    assert "good-one" in catalog()
    assert catalog().keys() >= {job.name for job in BUILT_IN}
    (problem,) = problems()
    assert problem.startswith("REDRIVE_JOBS=bad_jobs: ")
    assert says in problem
    with pytest.raises(CatalogError, match="REDRIVE_JOBS=bad_jobs"):
        complete_catalog()


def test_module_that_does_not_exist_is_named_without_a_place_of_others(
    modules: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules(good_jobs=GOOD)
    monkeypatch.setenv("REDRIVE_JOBS", "good_jobs,nowhere_jobs")
    settings.cache_clear()
    forget()

    assert problems() == (
        "REDRIVE_JOBS=nowhere_jobs: importing it failed: ModuleNotFoundError: No module named 'nowhere_jobs'",
    )


def test_decorated_functions_are_found_without_a_list(modules: Modules) -> None:
    modules(
        one_jobs="from redrive import job\n@job\ndef send_all() -> None: ...\n",
        two_jobs="from redrive import job\nfrom one_jobs import send_all\n@job(queue='high')\ndef other() -> None: ...\n",
    )

    assert problems() == ()
    assert (catalog()["send-all"].entrypoint, catalog()["other"].queue) == ("one_jobs.send_all", "high")


def test_two_functions_of_one_name_are_refused(modules: Modules) -> None:
    text = "from redrive import job\n@job\ndef send_all() -> None: ...\n"

    modules(one_jobs=text, two_jobs=text)

    assert problems() == (
        "REDRIVE_JOBS=two_jobs: two job types are named 'send-all': give the one in two_jobs another name",
    )


def test_type_of_a_broken_module_is_unknown_and_the_reason_reported(modules: Modules) -> None:
    modules(bad_jobs="import nowhere\n")

    with pytest.raises(UnknownJob, match="No module named 'nowhere'"):
        job_type("theirs")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import nowhere\n", "No module named 'nowhere'"),
        (GOOD, "good_jobs.run cannot be loaded"),
        (
            GOOD.replace("JOBS", "import redrive.deployments.schedule as t\nt.Schedule(cron='61 * * * *')\nJOBS"),
            "Bad minute",
        ),
    ],
)
def test_stack_refuses_modules_that_cannot_run_before_it_remembers_them(modules: Modules, text: str, says: str) -> None:
    here = modules(good_jobs=text)
    here.home.mkdir()
    here.stack_file.write_text(json.dumps({"jobs": ""}))

    with pytest.raises(CatalogError, match="nothing was changed") as refused:
        check_job_modules(here)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert json.loads(here.stack_file.read_text()) == {"jobs": ""}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cron": "61 * * * *"}, "'61 * * * *' is no cron line: Bad minute"),
        ({"cron": "0 7 * *"}, "five fields"),
        ({"cron": "*/15 * * * * *"}, "five fields"),
        ({"cron": "@daily", "timezone": "Europe/Berln"}, "did you mean Europe/Berlin?"),
        ({"cron": "@daily", "timezone": "Mars/Base"}, "no IANA time zone"),
        ({"cron": "@daily", "zone": "UTC"}, "zone"),
    ],
)
def test_schedule_that_cannot_be_followed_is_one_sentence(given: dict[str, str], says: str) -> None:
    with pytest.raises(CatalogError, match="schedule") as refused:
        Schedule(**given)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("cron", ["*/15 * * * *", "0 7 * * MON-FRI", "@daily", "0 0 1,15 * *"])
def test_usual_cron_lines_are_taken(cron: str) -> None:
    assert JobType("a", entrypoint="a.b", schedules=(Schedule(cron=cron),)).schedules[0].cron == cron
