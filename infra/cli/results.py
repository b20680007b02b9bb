"""What a job handed back, for people.

Danger: anything may stand in it; the output makes it plain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redrive.infra.cli.output import one_line

if TYPE_CHECKING:
    from redrive.deployments.job_result import Result

#: Outputs and characters of a result that are shown; `--json` and the files themselves have the rest.
SHOWN_OUTPUTS = 5
RESULT_WIDTH = 300


def result_text(result: Result | None) -> str | None:
    """Its summary and first outputs where it has them, else its beginning; None if there is none."""
    if result is None:
        return None
    if result.unreadable is not None:
        return f"cannot be read here ({result.unreadable})"
    value = result.value
    if callable(summary := getattr(value, "summary", None)):
        outputs = [str(output) for output in list(getattr(value, "outputs", ()))[:SHOWN_OUTPUTS]]
        return "\n".join([str(summary()), *outputs])
    if value is None:
        return None
    text = value if isinstance(value, str) else one_line(value)
    return text if len(text) <= RESULT_WIDTH else text[: RESULT_WIDTH - 1] + "…"
