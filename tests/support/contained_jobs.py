"""The job types of tests/support/jobs.py, each in containers of its own: the same policies and code, another isolation.

A stack finds them through `REDRIVE_JOBS=tests.support.contained_jobs`; which container is in `TEST_CONTAINER`, as JSON.
"""

from __future__ import annotations

import os

from redrive.blocks.core.container import Container
from tests.support import jobs

_CONTAINER = Container.model_validate_json(os.environ["TEST_CONTAINER"])

JOBS = [one.model_copy(update={"isolation": "container", "container": _CONTAINER}) for one in jobs.JOBS]
