"""`make up` in a fresh clone on the machines people have: exit 0 in each. Minutes of downloads, so `make soak` only.

`REDRIVE_TEST_ROOT_FILES` names files and folders (separated by `:`) that pip needs in the bare root, such as a local index.
"""

# ruff: noqa: S607  (the system's own tools, wherever it keeps them)

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from redrive.blocks.core.settings import Settings
from redrive.infra.local.marks import end_leftovers
from tests.support.stack import free_ports

ROOT = Path(__file__).parents[2]
#: An ordinary user's own files are not to be found by an interpreter in root's folder.
SYSTEM_PYTHON = "/usr/bin/python3"
DEFAULT_PORTS = (4200, 4300, 4025, 9464)
SAMPLES = ("sync", "reports", "mail", "documents")

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder only its owner may enter."""
    made = Path(tempfile.mkdtemp(prefix="redrive-clone-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def clone(target: Path) -> Path:
    """The files of this checkout as a commit would have them."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.split(b"\0")
    for name in filter(None, files):
        source, copy = ROOT / os.fsdecode(name), target / os.fsdecode(name)
        if source.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    return target


def environment(**more: str) -> dict[str, str]:
    outside = ("REDRIVE_", "PREFECT_", "VIRTUAL_ENV", "PYTHON", "MAKE", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(outside)} | more


def other_ports() -> dict[str, str]:
    names = ("prefect_port", "console_port", "metrics_port", "smtp_port")
    return {f"REDRIVE_{name.upper()}": str(port) for name, port in free_ports(*names).items()}


def make_up(project: Path, *before: str, cwd: Path | None = None, **env: str) -> str:
    """`make up`, and `make down` however it went; what it printed."""
    try:
        done = subprocess.run(
            [*before, "make", "-C", str(cwd or project), "up"],
            env=environment(**env),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        for job in SAMPLES:
            assert f"  {job:<10} Completed" in done.stdout
        return done.stdout
    finally:
        subprocess.run([*before, "make", "-C", str(cwd or project), "down"], env=environment(**env), check=False)
        end_leftovers(Settings(home=project / ".redrive"))


@as_root
def test_as_root_below_a_folder_closed_to_others(folder: Path) -> None:
    project = clone(folder / "redrive")

    make_up(project, **other_ports())

    assert folder.stat().st_mode & 0o077 == 0
    assert (project / ".redrive" / "postgres").stat().st_uid != 0


@as_root
def test_as_an_ordinary_user_with_umask_077(folder: Path) -> None:
    with ordinary_user(folder / "home") as user:
        project = clone(folder / "home" / "redrive")
        folder.chmod(0o711)
        for path in (project.parent, *project.parent.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
            path.chmod(path.stat().st_mode & 0o700)
        run_as = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--")
        shell = ("sh", "-c", 'umask 077; exec "$@"', "sh")

        env = {"HOME": user.pw_dir, "PYTHON": SYSTEM_PYTHON, "USER": user.pw_name, "PATH": "/usr/bin:/bin"}
        make_up(project, *run_as, *shell, **env, **other_ports())

        assert {path.stat().st_uid for path in (project / ".redrive").iterdir()} == {user.pw_uid}


def test_with_the_default_ports_taken(folder: Path) -> None:
    project = clone(folder / "redrive")
    with ExitStack() as held:
        for port in DEFAULT_PORTS:
            one = held.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
                one.listen()
            except OSError:
                continue  # taken already, which is as good
        said = make_up(project)

    for port in DEFAULT_PORTS:
        assert f"as {port} is taken" in said


@as_root
@pytest.mark.skipif(shutil.which("debootstrap") is None, reason="no debootstrap here: apt-get install debootstrap")
def test_as_root_in_a_bare_root(folder: Path) -> None:
    root = folder / "root"
    packages = "python3,python3-venv,make,ca-certificates"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={packages}", debian(), root],
        check=True,
    )
    project = clone(root / "root" / "redrive")
    with furnished(root):
        # Root's own folder: mode 0700, as on every Debian.
        assert (root / "root").stat().st_mode & 0o077 == 0
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **other_ports()}
        make_up(project, "chroot", str(root), cwd=Path("/root/redrive"), **env)


def debian() -> str:
    """The code name of this Debian, for its mirror surely has it."""
    lines = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return lines.get("VERSION_CODENAME", "stable").strip('"')


@contextmanager
def furnished(root: Path) -> Iterator[None]:
    """What a container's root has besides its files: /proc and the resolver; and what pip needs here."""
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    # Copied, never mounted: a test that cleans up must not be able to reach the machine's own.
    for name in filter(None, os.environ.get("REDRIVE_TEST_ROOT_FILES", "").split(":")):
        target = root / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        # As `cp` does it: what the root has already may be links of the same names.
        subprocess.run(["cp", "--archive", "--no-target-directory", "--remove-destination", name, target], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", root / "proc"], check=False)


@contextmanager
def ordinary_user(home: Path) -> Iterator[pwd.struct_passwd]:
    name = f"redrive-{os.getpid()}"
    subprocess.run(["useradd", "--create-home", "--home-dir", home, name], check=True)
    try:
        yield pwd.getpwnam(name)
    finally:
        subprocess.run(["userdel", name], check=False)
