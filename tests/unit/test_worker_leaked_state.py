"""What a job leaves behind is noticed. Each deed is done in a process of its own, which tells what was found."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

#: The deed → what is said of it; None where nothing was left behind.
DEEDS = {
    "pass": None,
    "os.chdir('/')": "the working directory",
    "os.environ['LEFT'] = '1'": "the environment",
    "os.environ.pop('PATH')": "the environment",
    "os.umask(0o123)": "the umask",
    "signal.signal(signal.SIGUSR1, signal.SIG_IGN)": "signal handlers",
    "signal.signal(signal.SIGTERM, lambda *_: None)": "signal handlers",
    "resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))": "resource limits",
    "sys.stdout = io.StringIO()": "standard streams",
    "threading.Thread(target=time.sleep, args=(600,), name='mine', daemon=True).start()": "thread 'mine'",
    "threading.Thread(target=time.sleep, args=(0.01,)).start()": None,
    "threading.Thread(target=time.sleep, args=(600,), name='EventsWorker', daemon=True).start()": None,
    "os.close(0)": "file descriptor 0",
    "os.dup2(os.open(os.devnull, os.O_WRONLY), 2)": "file descriptor 2",
    "kept.append(open(sys.executable, 'rb'))": "open",
    "kept.append(os.pipe())": "open",
    "kept.append(socket.create_server(('127.0.0.1', 0)))": "open",
    "kept.append(open('/dev/urandom', 'rb'))": None,
    "kept.append(socket.socketpair())": None,
    "open(sys.executable, 'rb').close()": None,
    # As a thread of Prefect's that reads certificates for a connection.
    "reading = threading.Timer(0.05, open(sys.executable, 'rb').close); reading.name = 'EventsWorker'; reading.start()": None,
    "kept.append(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']))": "1 process behind",
    "subprocess.run([sys.executable, '-c', 'pass'])": None,
    "os.fork() or os._exit(0)": None,
}
_SCRIPT = """
import io, os, resource, signal, socket, subprocess, sys, threading, time
from redrive.infra.worker.linux import adopt_orphans
from redrive.infra.worker.child.leaked_state import LeakedState
adopt_orphans()
kept, out = [], os.dup(1)
before = LeakedState.snapshot()
{deed}
os.write(out, repr(before.compare()).encode())
os._exit(0)
"""


@pytest.mark.parametrize("deed", DEEDS)
def test_what_a_job_left_is_reported(deed: str) -> None:
    said = _after(deed)

    expected = DEEDS[deed]
    assert said == "None" if expected is None else expected in said


def test_process_in_a_session_of_its_own_is_ended() -> None:
    deed = """
        child = [sys.executable, "-c", "import time; time.sleep(600)"]
        one = subprocess.Popen(child, start_new_session=True)
        found = before.compare()
        os.write(out, f"{one.wait(60)} {found} ".encode())
    """

    said = _after(textwrap.dedent(deed))

    # How it ended is known to whoever waited for it first; that it ended, `wait` says.
    assert "it left 1 process behind, killed by the worker" in said


def test_grandchild_whose_parent_ended_is_found() -> None:
    deed = """
        if os.fork() == 0:
            if os.fork() == 0:
                os.setsid()
                time.sleep(600)
            os._exit(0)
        os.wait()
    """

    assert "1 process behind" in _after(textwrap.dedent(deed))


def test_folder_and_environment_of_the_loading_are_accepted() -> None:
    deed = "os.chdir('/'); os.environ['LEFT'] = '1'; before.accept_folder()"

    assert _after(deed) == "None"


def test_umask_is_put_back() -> None:
    deed = "os.umask(0o123); before.restore()"

    assert _after(deed) == "None"


def _after(deed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-c", _SCRIPT.format(deed=deed)],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
