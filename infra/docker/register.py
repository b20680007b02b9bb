"""The job that registers the catalog: `python -m redrive.infra.docker.register`, in the image that has the job types' code.

Work pools with their forms, queues, blocks, one deployment per job type. Safe to repeat; run it with each release.
"""

from __future__ import annotations

import os
import sys

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from redrive.blocks.core.errors import ApiUnavailable, RedriveError
from redrive.blocks.core.settings import settings

#: Seconds the API may take to come.
PATIENCE = 180.0
PAUSE = 2.0


def main() -> None:
    from redrive.deployments.register import register  # noqa: PLC0415  (Prefect's import; what is wrong before is said at once)
    from redrive.infra.docker.kubernetes_pool import make_kubernetes_pool, read_template  # noqa: PLC0415  (as above)
    from redrive.infra.local.components.worker import OpsWorker, Worker  # noqa: PLC0415  (as above)

    @retry(
        retry=retry_if_exception_type(ApiUnavailable),
        wait=wait_fixed(PAUSE),
        stop=stop_after_delay(PATIENCE),
        reraise=True,
    )
    def register_all() -> None:
        if template := settings().pool_template:
            make_kubernetes_pool(read_template(template, os.environ))
        for worker in (Worker(settings()), OpsWorker(settings())):
            worker.prepare()
        register(settings(), _report)

    try:
        register_all()
    except RedriveError as error:
        _refuse(error)


def _report(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _refuse(error: RedriveError) -> None:
    sys.stderr.write(f"{error}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
