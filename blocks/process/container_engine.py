"""The container engine, through the `docker` package: what the worker asks of it. Every call blocks; the worker makes them in threads.

Danger: an engine that is restarted kills its containers, or keeps them and cuts their lines (`live-restore`). How a container ended is
asked of the engine, never concluded from a broken line.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redrive.blocks.core.container import Container
from redrive.blocks.core.errors import RedriveError

if TYPE_CHECKING:
    from docker import APIClient

#: Seconds the engine may take to answer; pulling an image and waiting for an end have their own.
PATIENCE, PULL = 20.0, 900.0
#: Seconds between two questions to an engine that was restarted.
AGAIN = 0.5
#: Processes and threads in one container.
PIDS = 1024
#: Megabytes of its /tmp, which count as its memory.
TMP = 1024
#: Which worker a container is of, its run and its attempt.
WORKER, RUN, POOL = "redrive.worker", "redrive.run", "redrive.pool"


class EngineUnavailable(RedriveError):  # noqa: N818  (named like what happened, as all errors here)
    """The container engine does not answer."""


class CannotContain(ValueError):  # noqa: N818  (as above)
    """The engine refuses a container: no such image, folder or network."""


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How a container ended; None of its code if nobody knows."""

    code: int | None
    out_of_memory: bool


class Engine:
    """One engine: that of `DOCKER_HOST`, else the one on this machine."""

    def __init__(self) -> None:
        self._client: APIClient | None = None

    @property
    def api(self) -> APIClient:
        """Raises `EngineUnavailable`."""
        if self._client is None:
            with _answering():
                import docker  # noqa: PLC0415  (an extra; only workers of such jobs need it)

                # The version is asked for here, so this is where an engine that is unavailable says so.
                self._client = docker.APIClient(
                    base_url=os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock",
                    version="auto",
                    timeout=int(PATIENCE),
                    tls=_tls(),
                )
        return self._client

    def version(self) -> str:
        """Raises `EngineUnavailable`."""
        with _answering():
            return str(self.api.version()["Version"])

    @property
    def is_here(self) -> bool:
        """Whether its containers are processes of this machine."""
        return (os.environ.get("DOCKER_HOST") or "unix:").startswith("unix:")

    def create(
        self, container: Container, *, memory: int | None, labels: dict[str, str], name: str, network: str
    ) -> str:
        """Make a container that is not started; its id.

        Raises:
            EngineUnavailable: the engine does not answer.
            CannotContain: it refuses.
        """
        api = self.api
        import docker  # noqa: PLC0415  (as above; it is there)

        try:
            with _answering():
                self._have(container.image)
                return str(
                    api.create_container(**_wanted(api, container, memory, network), labels=labels, name=name)["Id"]
                )
        except docker.errors.APIError as error:
            raise CannotContain(f"the container engine refuses: {error.explanation or error}") from None

    def _have(self, image: str) -> None:
        import docker  # noqa: PLC0415  (as above)
        from docker.utils import parse_repository_tag  # noqa: PLC0415  (as above)

        try:
            api: Any = self.api  # its stubs leave this call untyped
            api.inspect_image(image)
        except docker.errors.ImageNotFound:
            name, tag = parse_repository_tag(image)
            absent = f"image {image} is not on this engine, and cannot be pulled"
            try:
                for line in self.api.pull(name, tag=tag or "latest", stream=True, decode=True):
                    if "error" in line:
                        raise CannotContain(f"{absent}: {line['error']}") from None
            except docker.errors.APIError as error:
                raise CannotContain(f"{absent}: {error.explanation or error}") from None

    def attach(self, container: str) -> socket.socket:
        """Standard input and output of a container that is not started yet."""
        with _answering():
            found: Any = self.api.attach_socket(container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            line: socket.socket = getattr(found, "_sock", found)
            line.settimeout(None)
            return line

    def start(self, container: str) -> None:
        """Raises `EngineUnavailable`, `CannotContain`."""
        import docker  # noqa: PLC0415  (as above)

        try:
            with _answering():
                self.api.start(container)
        except docker.errors.APIError as error:
            raise CannotContain(f"the container engine cannot start it: {error.explanation or error}") from None

    def pid(self, container: str) -> int:
        """Of its first process, on this machine; 0 if it cannot be seen here."""
        with _answering():
            pid = int(self.api.inspect_container(container)["State"]["Pid"])
        try:
            with open(f"/proc/{pid}/cgroup") as groups:  # noqa: PTH123  (a file of the kernel)
                # Another machine's engine, or a worker in a container: that number names somebody else here.
                return pid if pid and container in groups.read() else 0
        except OSError:
            return 0

    def signal(self, container: str, name: str) -> None:
        """Send a signal to what runs in it; nothing if it ended."""
        import docker  # noqa: PLC0415  (as above)

        with contextlib.suppress(docker.errors.APIError), _answering():
            self.api.kill(container, name)

    def ended(self, container: str) -> Exit:
        """Wait until it has ended, through restarts of the engine."""
        import docker  # noqa: PLC0415  (as above)

        while True:
            try:
                with _answering():
                    self.api.wait(container, timeout=int(PULL))
                    state = self.api.inspect_container(container)["State"]
            except docker.errors.NotFound:
                return Exit(code=None, out_of_memory=False)
            except (EngineUnavailable, docker.errors.APIError):
                time.sleep(AGAIN)
                continue
            if state["Status"] in {"exited", "dead"}:
                return Exit(code=int(state["ExitCode"]), out_of_memory=bool(state["OOMKilled"]))
            time.sleep(AGAIN)

    def remove(self, container: str) -> None:
        """Take it away, whether it runs or not."""
        import docker  # noqa: PLC0415  (as above)

        with contextlib.suppress(docker.errors.APIError, EngineUnavailable), _answering():
            self.api.remove_container(container, force=True, v=True)

    def of_pool(self, pool: str) -> list[dict[str, Any]]:
        """Every container of a pool's workers, ended ones too.

        Raises:
            EngineUnavailable: the engine does not answer.
        """
        with _answering():
            return list(self.api.containers(all=True, filters={"label": f"{POOL}={pool}"}))


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    try:
        import docker  # noqa: PLC0415  (as above)
        import requests  # noqa: PLC0415  (what docker speaks through)
    except ImportError:
        raise EngineUnavailable("the package docker is not installed: pip install 'redrive[containers]'") from None
    try:
        yield
    except docker.errors.APIError:
        # An answer: what it means is for the caller. It is one of requests' errors too.
        raise
    except (requests.RequestException, docker.errors.DockerException, OSError) as error:
        raise EngineUnavailable(f"the container engine does not answer: {error}") from None


def _tls() -> Any:
    """What `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` say, as for the command `docker`."""
    from docker.utils import kwargs_from_env  # noqa: PLC0415  (as above)

    return kwargs_from_env().get("tls", False)


def _wanted(api: APIClient, container: Container, memory: int | None, network: str) -> dict[str, Any]:
    from docker.types import LogConfig, Mount  # noqa: PLC0415  (as above)

    limits: dict[str, Any] = {"mem_limit": f"{memory}m", "memswap_limit": f"{memory}m"} if memory else {}
    if container.cpus:
        limits["nano_cpus"] = int(container.cpus * 1e9)
    mounts = [
        Mount(target, source, type="bind" if source.startswith("/") else "volume", read_only=read_only)
        for source, target, read_only in container.folders()
    ]
    return {
        "image": container.image,
        # Where the image has an entry point of its own, this is not for it.
        "entrypoint": ["python3", "-P", "-m", "redrive.infra.worker.containers.contained"],
        "command": [],
        "user": container.user or f"{os.getuid()}:{os.getgid()}",
        "environment": {"HOME": "/tmp", "TMPDIR": "/tmp", "PYTHONDONTWRITEBYTECODE": "1", **container.env},  # noqa: S108
        "stdin_open": True,
        "working_dir": "/tmp",  # noqa: S108  (the container's own)
        "host_config": api.create_host_config(
            network_mode=network,
            mounts=mounts,
            read_only=not container.writable,
            tmpfs={"/tmp": f"rw,nosuid,nodev,mode=1777,size={TMP}m"},  # noqa: S108  (as above)
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            # The first process of a container has no default action for signals, and buries nobody: a small one takes that place.
            init=True,
            pids_limit=PIDS,
            # What a job prints goes to the worker's own output, as in the warm pool, and its messages are nobody else's.
            log_config=LogConfig(type="none"),
            **limits,
        ),
    }
