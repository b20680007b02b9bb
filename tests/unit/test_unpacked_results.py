"""What `redrive restore` takes out of an archive of results, and what it refuses."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from redrive.infra.backup.manifest import BackupError
from redrive.infra.backup.restore import unpack


def archive(path: Path, *entries: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as tar:
        for entry in entries:
            tar.addfile(entry, io.BytesIO(b"x" * entry.size))
    return path


def entry(name: str, size: int = 0, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o600) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.mode, made.linkname = size, kind, mode, "/etc/passwd" if kind == tarfile.SYMTYPE else ""
    return made


def test_files_and_folders_are_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "results" / "deep").mkdir(parents=True)
    (tmp_path / "results" / "deep" / "one").write_bytes(b"what a job returned")
    (tmp_path / "results" / "deep" / "one").chmod(0o640)
    (tmp_path / "results" / "none").mkdir()
    with tarfile.open(tmp_path / "results.tar", "w") as tar:
        tar.add(tmp_path / "results", arcname="results")

    unpack(tmp_path / "results.tar", tmp_path / "there")

    one = tmp_path / "there" / "results" / "deep" / "one"
    assert one.read_bytes() == b"what a job returned"
    assert one.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "there" / "results" / "none").is_dir()


@pytest.mark.parametrize(
    "wrong",
    [
        entry("/elsewhere", 3),
        entry("results/../../elsewhere", 3),
        entry("results/link", kind=tarfile.SYMTYPE),
        entry("results/pipe", kind=tarfile.FIFOTYPE),
    ],
    ids=lambda one: one.name,
)
def test_what_would_lie_elsewhere_or_is_no_file_is_refused(wrong: tarfile.TarInfo, tmp_path: Path) -> None:
    made = archive(tmp_path / "results.tar", wrong)

    with pytest.raises(BackupError, match="which no backup has"):
        unpack(made, tmp_path / "there" / "results")

    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "there" / "elsewhere").exists()
