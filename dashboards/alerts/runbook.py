"""The runbooks as the alerts quote them: the first step of each section stands in the alert itself.

An alert is read on a phone at night: what to do first must be there, whether or not a link opens.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from redrive.blocks.core.errors import SettingsError

FILE: Final = Path(__file__).with_name("runbooks.md")
#: Where people find it in a clone.
RUNBOOKS: Final = "dashboards/alerts/runbooks.md"

#: What the runbooks call what an alert has as a label.
_PLACES: Final = {"QUEUE": "queue", "JOB": "job", "DUTY": "duty"}
_STEP = re.compile(r"^1\. (?P<step>.+?)(?=^\d+\. |^\S|\Z|^$)", re.MULTILINE | re.DOTALL)
#: `[text](target)` reads as its text where nothing is a link.
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def first_step(alert: str) -> str:
    """The first step of an alert's section, with the alert's labels in the place of QUEUE, JOB and DUTY."""
    section = re.search(rf"^## {alert}$(?P<text>.*?)(?=^## |\Z)", FILE.read_text(), re.MULTILINE | re.DOTALL)
    step = _STEP.search(section["text"]) if section else None
    if step is None:
        raise SettingsError(f"{FILE} has no section {alert} with a first step")
    text = _LINK.sub(r"\1", " ".join(step["step"].split()))
    return re.sub(rf"\b({'|'.join(_PLACES)})\b", lambda found: "{{ $labels." + _PLACES[found[1]] + " }}", text)
