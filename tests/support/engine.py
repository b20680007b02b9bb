"""A container engine of the tests' own: `dockerd` with its own data and socket, and an image that is this machine's own files, read-only.

Where none can be started, tests are skipped with the reason.
"""

from __future__ import annotations

import io
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Self

import psutil
import pytest

from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
#: Seconds the engine may take to start, and to end.
PATIENCE = 60
#: An image without files; `here` mounts this machine's into it.
IMAGE = "redrive-test/here:latest"
#: Of the engines of this process.
_NUMBERS = itertools.count()
#: Folders of a system that are links into /usr. The engine puts its init into /sbin, so that one is none.
_LINKS = ("bin", "lib", "lib64")


class TestEngine:
    """One engine, from `start` to `stop`; it may be killed and started again on the same data."""

    __test__ = False

    def __init__(self, *, networks: bool = False) -> None:
        self._networks = networks
        if os.geteuid() != 0:
            pytest.skip("a container engine can be started by root only")
        if not shutil.which("dockerd"):
            pytest.skip("no container engine here: dockerd is missing (on Debian: apt-get install docker.io)")
        self.home = Path(tempfile.mkdtemp(prefix="redrive-engine-"))
        self.socket = self.home / "docker.sock"
        # Neither the machine's own, nor none: told to have none, an engine deletes `docker0`, which may be another engine's.
        self.bridge = _Bridge()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
            self.api.import_image_from_data(_no_files(), repository=IMAGE.partition(":")[0], tag="latest")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process and self._process.poll() is None:
            for container in self.api.containers(all=True):
                self.api.remove_container(container["Id"], force=True)
        self.stop()
        subprocess.run(
            ["/usr/bin/umount", "-q", *map(str, self.home.glob("exec/netns/*"))], check=False, capture_output=True
        )
        self.bridge.remove()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def api(self) -> Any:
        import docker

        return docker.APIClient(base_url=self.url, version="auto", timeout=PATIENCE)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.bridge.make()
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(shutil.which("dockerd")), "--host", self.url, "--data-root", str(self.home / "data"),
                    "--exec-root", str(self.home / "exec"),
                    "--pidfile", str(self.home / "pid"),
                    "--bridge", self.bridge.name,
                    *([] if self._networks else ["--iptables=false", "--ip-masq=false"]),
                ],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(self._answers, PATIENCE, "the engine to answer")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it; with SIGKILL its containers live on until it is started again."""
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.wait(PATIENCE)
        # A part of it, which ends a moment later: an engine that is started meanwhile would take it for alive.
        noted = self.home / "exec" / "containerd" / "containerd.pid"
        if noted.exists():
            part = int(noted.read_text())
            wait_until(lambda: not psutil.pid_exists(part), PATIENCE, "the rest of the engine to end")

    def _answers(self) -> bool:
        import docker

        assert self._process
        if self._process.poll() is not None:
            pytest.skip(f"the container engine cannot run here: {(self.home / 'log').read_text()[-300:]}")
        try:
            return bool(self.api.ping())
        except docker.errors.DockerException:
            return False

    def here(self, *folders: Path, **more: Any) -> dict[str, Any]:
        """A container with this machine's programs and this checkout, read-only, and folders that may be written."""
        python = Path(sys.base_prefix)
        shown = [Path("/usr"), Path("/etc"), ROOT, *([] if python.is_relative_to("/usr") else [python])]
        mounts = [f"{one}:{one}:ro" for one in shown] + [f"{one}:{one}" for one in folders]
        env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", **more.pop("env", {})}
        return {"image": IMAGE, "mounts": mounts, "network": "host", "env": env, **more}


class _Bridge:
    """A bridge of one engine, in a network that no other interface of this machine has."""

    def __init__(self) -> None:
        self.name = f"rdtest{os.getpid() % 1_000_000}{next(_NUMBERS)}"

    def make(self) -> None:
        if self.name in psutil.net_if_addrs():
            return
        taken = {found.address for of_one in psutil.net_if_addrs().values() for found in of_one}
        address = next(one for third in range(255) if (one := f"10.213.{third}.1") not in taken)
        for words in (["link", "add", self.name, "type", "bridge"], ["addr", "add", f"{address}/24", "dev", self.name]):
            done = subprocess.run(["/usr/sbin/ip", *words], check=False, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(
                    f"a container engine needs a network bridge, and none can be made here: {done.stderr.strip()}"
                )

    def remove(self) -> None:
        subprocess.run(["/usr/sbin/ip", "link", "delete", self.name], check=False, capture_output=True)


def _no_files() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name in ("usr", "etc", "tmp", "proc", "sys", "dev", "sbin"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for name in _LINKS:
            if Path("/", name).is_symlink():
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
                tar.addfile(link)
    return made.getvalue()
