"""The files of a folder that were not read: each with its reason in a table people can see, and counted by reason in one message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger

from redrive.blocks.core.counted import counted
from redrive.blocks.core.payloads import Payload
from redrive.blocks.core.plain_text import markdown

#: Key of the table in Prefect's UI.
ARTIFACT = "documents-not-read"
#: Rows of one table; more go into further ones, since a page with more is slow.
ROWS = 1000
#: Reasons in the message, and files named for each: what a state and a dead letter keep whole.
REASONS, NAMES = 6, 3
#: Bytes that most file systems allow a name to have, written with two characters each.
NAME_LENGTH = 120


class Refusal(Payload):
    """A file that was not read; the reason follows its name: `is no PDF, ...`."""

    name: str
    source: str
    reason: str


def message(total: int, refusals: Sequence[Refusal]) -> str:
    """What happened, in one line: how many for which reason, and where all are named."""
    names: dict[str, list[str]] = defaultdict(list)
    for one in refusals:
        names[one.reason].append(one.name[:NAME_LENGTH])
    largest = sorted(names.items(), key=lambda group: -len(group[1]))
    groups = [_group(reason, files) for reason, files in largest[:REASONS]]
    if len(largest) > REASONS:
        groups.append(
            f"{counted(sum(len(files) for _, files in largest[REASONS:]), 'file')} for {counted(len(largest) - REASONS, 'other reason')}"
        )
    return (
        f"{len(refusals)} of {total} files could not be read, the others are stored: {'; '.join(groups)}. "
        f"The artifact {ARTIFACT} of this run names each with its reason"
    )


def publish(refusals: Sequence[Refusal]) -> None:
    """Make the table, in Prefect's UI under Artifacts and on the run."""
    for first in range(0, len(refusals), ROWS):
        rows = [_row(one) for one in refusals[first : first + ROWS]]
        key = ARTIFACT if not first else f"{ARTIFACT}-{first // ROWS + 1}"
        try:
            create_table_artifact(table=rows, key=key, description=f"not read: {counted(len(refusals), 'file')}")
        except Exception:  # noqa: BLE001  (what counts is the job's end, and its message has the reasons)
            get_run_logger().warning("the table of files that were not read could not be published", exc_info=True)
            return


def _row(one: Refusal) -> dict[str, str]:
    # Whoever may write to the folder chooses these names, and Prefect's UI shows the cells of a table as Markdown.
    return {"file": markdown(one.name), "reason": markdown(one.reason), "path": markdown(one.source)}


def _group(reason: str, files: list[str]) -> str:
    if len(files) == 1:
        return f"{files[0]} {reason}"
    more = f" and {len(files) - NAMES} more" if len(files) > NAMES else ""
    return f"{len(files)} files ({', '.join(files[:NAMES])}{more}): {reason}"
