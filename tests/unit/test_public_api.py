"""What `import redrive` gives: nothing is loaded before it is used, and type checkers know the real signatures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import redrive
from redrive.blocks.core.retry import PolicyFields, RetryPolicy
from redrive.deployments.job_type import JobFields, JobType

ROOT = Path(__file__).resolve().parents[2]

POLICIES = """\
from redrive.blocks.core.retry import RetryPolicy, exponential

RetryPolicy(max_tries=5, backoff=[1, 10, 60], never_on=[ValueError, "pkg.Error"])
RetryPolicy(backoff=exponential(base=2), timeout=None, never_on=KeyError)
RetryPolicy(max_trys=5)
RetryPolicy(max_tries="5")
RetryPolicy(backoff=["soon"])
"""


def test_import_loads_neither_prefect_nor_pydantic() -> None:
    program = (
        "import sys, redrive; redrive.__version__; assert not {'prefect', 'pydantic'} & set(sys.modules);"
        "redrive.RetryPolicy; redrive.PermanentError; assert 'prefect' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_asking_for_a_job_loads_no_prefect() -> None:
    """Not when it is imported, nor when parameters are checked and sent; httpx only then."""
    program = (
        "import sys, redrive; redrive.enqueue; assert not {'prefect', 'httpx', 'jsonschema'} & set(sys.modules);"
        "from redrive.deployments.parameters import checked;"
        "checked('a', {'n': 1}, {'properties': {'n': {'type': 'integer'}}}, {});"
        "import os; os.environ['PREFECT_API_URL'] = 'http://127.0.0.1:1/api'\n"
        "try: redrive.enqueue('a')\n"
        "except redrive.RedriveError as error: assert 'does not answer' in str(error)\n"
        "assert 'httpx' in sys.modules and 'prefect' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_version_is_the_installed_one() -> None:
    assert redrive.__version__ == version("redrive")


def test_every_name_is_there() -> None:
    for name in dir(redrive):
        assert getattr(redrive, name) is not None


def test_mypy_knows_what_a_retry_policy_takes(tmp_path: Path) -> None:
    program = tmp_path / "policies.py"
    program.write_text(POLICIES)
    package = tmp_path / "types" / "redrive"
    (package / "blocks").mkdir(parents=True)
    (package / "blocks" / "core").symlink_to(ROOT / "blocks" / "core")

    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file",
            ROOT / "pyproject.toml",
            "--cache-dir",
            tmp_path / "c",
            program,
        ],
        env=os.environ | {"MYPYPATH": str(package.parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    errors = {int(line): code for line, code in re.findall(r"policies\.py:(\d+): error: .*\[(.+)\]", found.stdout)}
    assert errors == {5: "call-arg", 6: "arg-type", 7: "list-item"}, found.stdout + found.stderr


def test_types_and_fields_agree() -> None:
    """What type checkers read is written beside the fields: the two have the same names."""
    assert list(PolicyFields.__annotations__) == list(RetryPolicy.model_fields)
    assert ["name", "entrypoint", *JobFields.__annotations__] == list(JobType.model_fields)
