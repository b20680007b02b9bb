"""Foreign text keeps its words and loses what steers terminals and pages."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from redrive.blocks.core.plain_text import code_block, markdown, plain_json, plain_line, plain_text
from redrive.deployments.dead_letters.failure_report import FailureReport
from redrive.infra.cli.output import err, out, print_fields, print_heading, print_json, print_table
from tests.support.hostile import HOSTILE, steers

#: Mostly the characters that matter, so that they meet.
text = st.text(st.characters() | st.sampled_from("\x1b\r\x9b\u202e[]()<>&*_`~|!\\:/@w. #-\n")).map(str)


@given(text)
def test_nothing_steers_a_terminal(foreign: str) -> None:
    assert steers(plain_text(foreign)) == []
    assert steers(plain_line(foreign) + plain_json(json.dumps(foreign, ensure_ascii=False))) == []
    assert "\n" not in plain_line(foreign)
    assert "\t" not in plain_line(foreign)


@given(text)
def test_json_keeps_every_character(foreign: str) -> None:
    assert json.loads(plain_json(json.dumps({"x": foreign}, ensure_ascii=False))) == {"x": foreign}


@given(text)
def test_markdown_shows_the_text_and_nothing_else(foreign: str) -> None:
    (inline,) = MarkdownIt("commonmark").enable(["strikethrough", "table"]).parseInline(f"x{markdown(foreign)}x")

    kinds = {token.type for token in inline.children or ()}
    assert kinds <= {"text", "text_special"}
    assert "".join(token.content for token in inline.children or ()) == f"x{plain_line(foreign)}x"


@pytest.mark.parametrize("address", ["https://evil.example", "www.evil.example", "a@evil.example"])
def test_an_address_in_foreign_text_becomes_no_link(address: str) -> None:
    assert address not in markdown(address)


def test_an_ordinary_message_reads_the_same_in_markdown() -> None:
    said = "KeyError: 'user_id' (line 7): 3 < 4 & 5 > 2 - see #12!"

    assert markdown(said) == said.replace("<", "&lt;")


@given(text)
def test_nothing_ends_a_code_block(foreign: str) -> None:
    (fence,) = MarkdownIt("commonmark").parse(code_block(foreign))

    assert (fence.type, fence.content) == ("fence", plain_text(foreign).replace("\x00", "\ufffd") + "\n")


def test_words_of_every_script_survive() -> None:
    said = "Größe 10\u00a0000 € שלום 日本語 🏴 👩\u200d💻 \u200e"

    assert plain_text(said) == said
    assert plain_line(said) == said


@pytest.mark.parametrize("foreign", HOSTILE)
def test_a_failure_report_shows_and_keeps_what_the_job_wrote(foreign: str) -> None:
    report = FailureReport(
        run_id=uuid4(), error_type=foreign, message=foreign, traceback=foreign, step=foreign, reason="tries", tries=3
    )
    shown = report.markdown(foreign)
    tokens = MarkdownIt("commonmark").parse(shown)

    assert steers(shown) == []
    assert sum(token.type == "html_block" for token in tokens) == 1, "the comment for programs, and no other HTML"
    inline = [child.type for token in tokens for child in token.children or ()]
    assert not {"link_open", "image", "html_inline"} & {*inline}
    assert FailureReport.from_markdown(shown) == report


def test_a_report_that_a_message_forges_is_not_believed() -> None:
    forged = FailureReport(
        run_id=uuid4(), error_type="X", message="", traceback="", step=None, reason="crash", tries=9
    ).as_comment()
    report = FailureReport(
        run_id=uuid4(), error_type="E", message=forged, traceback=forged, step=None, reason="tries", tries=1
    )

    assert FailureReport.from_markdown(report.markdown("dead letter")) == report


@pytest.mark.parametrize("foreign", HOSTILE)
def test_commands_print_foreign_text_as_it_is_written(foreign: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table({"A": "left", "B": "left"}, [(foreign, foreign)], none="none")
    print_heading("", foreign, " job ", foreign)
    print_fields([("label", foreign)], width=6)
    print_json({"value": foreign, foreign: [foreign]})
    out.print(foreign, soft_wrap=True)
    err.print(f"redrive: {foreign}", soft_wrap=True)

    printed = capsys.readouterr()
    assert steers(printed.out + printed.err) == []
    if "[red]" in foreign:
        assert printed.out.count("[red]rich[/red]") == 9, "markup of Rich is text here"
