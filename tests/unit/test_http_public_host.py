"""A source on a public host that redirects to this machine, in a network of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from redrive.flows.sync.source.download import DownloadBudget, download
from redrive.flows.sync.source.limits import Limits

#: Exit code of the process below where it cannot be what it should.
NO_NETWORK_OF_ITS_OWN = 77


def asked(url: str, folder: Path) -> Any:
    return download(url, folder / "answer", DownloadBudget(Limits()))


_SOURCE_ON_A_PUBLIC_HOST = """
import json, sys
from pathlib import Path
from tests.support.public_host import ADDRESS, become_public_host
if not become_public_host():
    raise SystemExit(77)
from redrive.blocks.access.http_sources import HostRefused
from redrive.flows.sync.source.download import DownloadBudget, download
from redrive.flows.sync.source.limits import Limits
from redrive.flows.sync.source.unreachable import SourceUnreachable
from tests.support.http_source import Reply, serving

asked, answer = [], Path(sys.argv[1]) / "answer"

def private(path, _headers):
    asked.append(path)
    return Reply(b"id\\n1\\n")

with serving(private) as inside, serving(
    lambda path, _headers: Reply(b"id\\n2\\n") if path == "/rows" else Reply(status=302, headers={"Location": inside}), host=ADDRESS
) as outside:
    download(f"{outside}/rows", answer, DownloadBudget(Limits()))
    rows = answer.read_text()
    try:
        download(f"{outside}/moved", answer, DownloadBudget(Limits()))
        said = None
    except HostRefused as error:
        said = str(error)
print(json.dumps({"rows": rows, "said": said, "asked": asked}))
"""


def test_redirect_from_a_public_host_to_this_machine_is_refused_and_nothing_is_asked_there(tmp_path: Path):
    """The host is public by its address; no setting allows anything."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REDRIVE_")}
    done = subprocess.run(
        [sys.executable, "-c", _SOURCE_ON_A_PUBLIC_HOST, tmp_path],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).resolve().parents[2],
        check=False,
    )
    if done.returncode == NO_NETWORK_OF_ITS_OWN:
        pytest.skip("this user may make no network of its own here")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["rows"], found["asked"]) == ("id\n2\n", [])
    assert "leads to 127.0.0.1, which is no public address" in found["said"]
