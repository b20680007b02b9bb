"""A traceback with the frames that are not the job's folded away."""

from __future__ import annotations

from redrive.dashboards.console.traceback import parts

OURS = '  File "/srv/app/flows/engine/step.py", line 90, in run\n    return call()\n           ^^^^^^'
PREFECT = (
    '  File "/srv/venv/lib/python3.11/site-packages/prefect/task_engine.py", line 12, in run_task\n    result = call()'
)
OWN = '  File "/srv/app/my_jobs.py", line 7, in say\n    raise ValueError(name)'
SOCKET = '  File "/usr/lib/python3.11/socket.py", line 850, in connect\n    raise err'


def told(*frames: str, last: str = "ValueError: no") -> str:
    return "\n".join(["Traceback (most recent call last):", *frames, last])


def test_frames_of_redrive_and_libraries_are_folded_together():
    found = parts(told(PREFECT, OURS, OWN))

    assert [part.folded for part in found] == [0, 2, 0]
    assert "task_engine.py" in found[1].text
    assert "^^^^^^" in found[1].text
    assert found[2].text == f"{OWN}\nValueError: no"


def test_frame_that_raised_is_shown_whoever_wrote_it():
    found = parts(told(PREFECT, OWN, SOCKET, last="ConnectionRefusedError"))

    assert [part.folded for part in found] == [0, 1, 0]
    assert "socket.py" in found[2].text


def test_nothing_of_a_traceback_is_lost():
    for text in (
        told(PREFECT, OWN),
        told(OWN, PREFECT, OURS),
        f"{told(OWN)}\n\nDuring handling of the above exception, another exception occurred:\n\n{told(PREFECT, OURS, OWN)}",
        "ValueError: without frames",
        "",
    ):
        assert "\n".join(part.text for part in parts(text)) == text
