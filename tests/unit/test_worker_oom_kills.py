"""A SIGKILL is called the kernel's only where it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

#: Moves into a group, and says by its own count of a kill whose it was: first of its child's, then of one that it kills itself.
WATCHING = """
import json, os, signal, sys
from pathlib import Path
from redrive.infra.worker.oom_kills import OomKills, OomWatch
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
watch, found = OomWatch(), []
before = OomKills.now()
def dead(act):
    if not (pid := os.fork()):
        act()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, status
    return watch.explains(before)
found.append(dead(lambda: [bytearray(os.urandom(1024)) * 1024 for _ in range(2000)]))
found.append(dead(lambda: os.kill(os.getpid(), signal.SIGKILL)))
print(json.dumps(found))
"""


def test_one_kill_of_the_kernel_explains_one_death_and_no_other(memory_group: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WATCHING, str(memory_group)], capture_output=True, text=True, check=False, timeout=120
    )

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == ["ours", None]
