"""Names and messages that others wrote, in the tables and summaries that Prefect's UI renders as Markdown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from markdown_it import MarkdownIt

from redrive.blocks.core.plain_text import plain_line
from redrive.deployments.dead_letters.ledger import Group
from redrive.flows import dead_letter_review as review
from redrive.flows.documents import refusals
from redrive.flows.documents.refusals import Refusal
from tests.support.hostile import HOSTILE

pytestmark = pytest.mark.parametrize("foreign", HOSTILE)


def shown(cell: str) -> str:
    """What a cell is seen as; it must be text and nothing else."""
    (inline,) = MarkdownIt("commonmark").enable(["strikethrough", "table"]).parseInline(f"x{cell}x")
    assert {token.type for token in inline.children or ()} <= {"text", "text_special"}
    return "".join(token.content for token in inline.children or ()).removeprefix("x").removesuffix("x")


def group(foreign: str) -> Group:
    now = datetime.now(UTC)
    return Group(
        fingerprint="0123456789ab",
        error_type=foreign,
        message=foreign,
        sample_id=uuid4(),
        count=1,
        by_status={"open": 1},
        jobs=(foreign,),
        queues=("default",),
        first_seen=now,
        last_seen=now,
    )


def test_files_that_were_not_read_are_named_and_their_names_are_no_markup(
    foreign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(refusals, "create_table_artifact", lambda **given: made.append(given))

    refusals.publish([Refusal(name=foreign, source=f"inbox/{foreign}", reason=f"is no PDF, but {foreign}")])

    ((row,),) = (one["table"] for one in made)
    assert shown(row["file"]) == plain_line(foreign)
    assert shown(row["path"]) == plain_line(f"inbox/{foreign}")
    assert shown(row["reason"]) == plain_line(f"is no PDF, but {foreign}")


def test_causes_of_a_review_are_no_markup(foreign: str) -> None:
    row = review._row(group(foreign), "a-run")

    assert shown(row["error"]) == shown(row["job types"]) == plain_line(foreign)
    assert shown(row["message"])


def test_summary_of_a_review_has_no_markup_of_theirs(foreign: str) -> None:
    tokens = MarkdownIt("commonmark").parse(review._summary([group(foreign)], 1))

    kinds = [token.type for token in tokens] + [one.type for token in tokens for one in token.children or ()]
    assert not {"link_open", "image", "html_inline", "html_block", "fence"} & {*kinds}
