"""One line says why a program ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from redrive.infra.local.component import last_lines
from redrive.infra.local.failure_reason import reason

TRACEBACK = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
    raise FileNotFoundError("redrive: not this")
FileNotFoundError: [Errno 2] No such file or directory: '/x/alive'
"""


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            '2026-11-25 [7] LOG:  hello\n2026-11-25 [7] FATAL:  could not open file "global/pg_control"\n2026 LOG:  bye\n',
            'could not open file "global/pg_control"',
        ),
        (TRACEBACK, "FileNotFoundError: [Errno 2] No such file or directory: '/x/alive'"),
        ("started\nredrive: account nobody cannot reach /root.\n", "account nobody cannot reach /root"),
        ('initdb: error: program "postgres" is needed\n', 'program "postgres" is needed'),
        ("INFO started\nERROR: [Errno 98] address already in use\nINFO stopped\n", "[Errno 98] address already in use"),
        ("", ""),
    ],
)
def test_reason_is_the_line_that_says_why(log: str, said: str) -> None:
    assert reason(log) == said


def test_reason_of_an_earlier_start_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("redrive: yesterday\n")
    begin = log.stat().st_size
    log.write_text("redrive: yesterday\nValueError: today\n")

    assert reason(last_lines(log, since=begin)) == "ValueError: today"
    log.write_text("ValueError: rot\n")  # rotated: shorter than where the start began
    assert reason(last_lines(log, since=begin)) == "ValueError: rot"
