"""infra/compose is started anew one part after the other, each healthy before the next: `python infra/docker/roll.py COMPOSE …`.

So an update is made (with `REDRIVE_VERSION` of the new images), and a restart of everything. COMPOSE … is the command that the installation
was started with; `make compose-roll` knows it. Databases and proxy are left alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence

#: Tables first, as each version reads those of the one before; workers after the deployments are registered.
ORDER = (
    "migrate", "prefect-1", "prefect-2", "services", "register", "keeper-1", "keeper-2", "worker-1", "worker-2", "ops-worker", "exporter",
    "console",
)  # fmt: skip
#: These end by themselves.
ONCE = ("migrate", "register")
#: Seconds a part may take to be healthy, or to end.
PATIENCE = 180.0
PAUSE = 1.0


class NotHealthy(Exception):  # noqa: N818  (named like what happened)
    """One sentence: which part did not come, or which command failed."""


def roll(compose: Sequence[str], services: Iterable[str]) -> None:
    """Start these anew, in this order.

    Raises:
        NotHealthy: a part; those after it still run as before.
    """
    for service in services:
        run(compose, "up", "-d", "--no-deps", "--force-recreate", service)
        _until_healthy(compose, service)
        sys.stdout.write(f"{service} is new\n")
        sys.stdout.flush()


def there(compose: Sequence[str]) -> set[str]:
    """The services that have a container, those that ended included."""
    return {_service(container) for container in run(compose, "ps", "-a", "-q").split()}


def run(command: Sequence[str], *words: str, given: str = "") -> str:
    """What a command printed; `given` is its standard input.

    Raises:
        NotHealthy: it failed.
    """
    done = subprocess.run([*command, *words], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        what = " ".join(word for word in words[:5] if "\n" not in word)
        raise NotHealthy(f"{what} failed: {' '.join((done.stderr or done.stdout).split())[-300:]}")
    return done.stdout


def _service(container: str) -> str:
    return run(["docker"], "inspect", "-f", '{{index .Config.Labels "com.docker.compose.service"}}', container).strip()


def _until_healthy(compose: Sequence[str], service: str) -> None:
    give_up = time.monotonic() + PATIENCE
    (container,) = run(compose, "ps", "-a", "-q", service).split()
    while True:
        state = json.loads(run(["docker"], "inspect", "-f", "{{json .State}}", container))
        found = f"{state['Status']} {state.get('Health', {}).get('Status', '')}".strip()
        if service in ONCE and found == "exited" and state["ExitCode"] == 0:
            return
        if service not in ONCE and found in {"running", "running healthy"}:
            return
        if time.monotonic() > give_up:
            raise NotHealthy(
                f"{service} is {found} {PATIENCE:g} s after its start: see its log; those after it were left as they were"
            )
        time.sleep(PAUSE)


if __name__ == "__main__":
    try:
        present = there(sys.argv[1:])
        roll(sys.argv[1:], [one for one in ORDER if one in present])
    except (NotHealthy, OSError) as error:
        sys.exit(str(error))
