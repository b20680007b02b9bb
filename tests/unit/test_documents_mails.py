"""What is read of a mail: every text part, forwarded mails, attachments, and what a budget leaves out."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from redrive.flows.documents import attached, budget, formats, reader
from redrive.flows.documents.answer import Answer
from redrive.flows.documents.attached import join_texts
from redrive.flows.documents.budget import Budget
from redrive.flows.documents.content import private_copy
from redrive.flows.documents.formats import Unreadable
from redrive.flows.documents.sandboxes import Sandboxes
from tests.support.odd_documents import mail, pdf

SAMPLES = Path(__file__).resolve().parents[2] / "flows" / "samples" / "inbox"

RUSSIAN = "Уважаемые коллеги, отчёт за третий квартал готов. Просим прислать замечания до пятницы."


def test_forwarded_mails_without_names_are_read_with_their_attachments(read: Any):
    inner = mail("The order", "three apples", files={"list.bin": b"1"})
    text, found = read("m.eml", mail("Fwd", "see below", inside=mail("Fwd: again", inside=inner)).as_bytes())
    assert "see below" in text
    assert "Subject: The order\nFrom: Ada <ada@example.com>" in text
    assert "three apples" in text
    assert [one["name"] for one in found["attachments"]] == ["list.bin"]
    assert found["left_out"] == []


def test_head_in_a_charset_of_its_own_is_not_garbled(read: Any):
    text, found = read("m.eml", "Subject: Größe\nFrom: Jörg <j@example.com>\n\nx\n".encode("latin-1"))
    assert "Subject: Größe\nFrom: Jörg <j@example.com>" in text
    assert (found["title"], found["authors"]) == ("Größe", ["Jörg"])


def test_text_of_attached_documents_belongs_to_the_mail(read: Any):
    inner = mail("Inner", "inner words", files={"deep.txt": b"deep words"}).as_bytes()
    files = {
        "page.pdf": pdf(),
        "list.csv": b"name,amount\nAda,7\n",
        "letter.docx": (SAMPLES / "officer-example.docx").read_bytes(),
        "book.xlsx": (SAMPLES / "notable-deaths-2016.xlsx").read_bytes(),
        "again.eml": inner,
        "russian.txt": RUSSIAN.encode("koi8-r"),
        "photo.jpg": b"\xff\xd8\xff\xe0",
    }
    text, found = read("m.eml", mail("Outer", "outer words", files=files).as_bytes())
    for words in (
        "outer words",
        "Body of the page.",
        "Ada,7",
        "Petals",
        "David Bowie",
        "inner words",
        "deep words",
        RUSSIAN,
    ):
        assert words in text
    assert "Attachment page.pdf:\n\n" in text
    assert [one["name"] for one in found["attachments"]] == list(files)
    assert found["left_out"] == []
    assert (found["characters"], found["words"]) == (len(text), len(text.split()))
    assert found["text_sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_attachment_that_cannot_be_read_is_named_and_keeps_nothing_else_out(read: Any):
    files = {
        "torn.pdf": b"%PDF-1.7 and nothing else",
        "no.docx": b"\x00\x01",
        "scan.pdf": pdf(b""),
        "good.txt": b"good words",
    }
    text, found = read("m.eml", mail("Outer", "outer words", files=files).as_bytes())
    assert "outer words" in text
    assert "good words" in text
    assert len(found["attachments"]) == 4
    for name, why in (
        ("torn.pdf", "cannot be read"),
        ("no.docx", "is corrupt"),
        ("scan.pdf", "neither text nor pictures"),
    ):
        assert any(f"1 attachment's text: {name}" in line and why in line for line in found["left_out"]), found[
            "left_out"
        ]


def test_attached_texts_beyond_the_budget_are_counted(read: Any, monkeypatch: pytest.MonkeyPatch):
    small = dataclasses.replace(Budget(), documents=2, depth=1)
    monkeypatch.setattr(attached, "Budget", lambda: small)
    inner = mail("Inner", files={"deep.txt": b"deep words"}).as_bytes()
    files = {"again.eml": inner, "a.txt": b"words a", "b.txt": b"words b"}
    text, found = read("m.eml", mail("Outer", files=files).as_bytes())
    assert "words a" in text
    assert "words b" not in text
    assert "deep words" not in text
    assert found["left_out"] == [
        "1 attachments' texts more than 1 deep in others",
        "1 attachments' texts after the first 1,000",
    ]


def test_attached_texts_for_which_no_time_is_left_are_counted(sandboxes: Sandboxes, tmp_path: Path):
    (tmp_path / "m.eml").write_bytes(mail("Outer", files={"a.txt": b"words a"}).as_bytes())
    with private_copy(tmp_path / "m.eml") as copy, sandboxes.extracted(copy.file, formats.EML) as made:
        join_texts(sandboxes, made, ends=time.monotonic())
        assert made.found.left_out == ["1 attachments' texts, for which no time was left"]


def test_second_and_later_text_parts_are_read_and_only_one_version_of_the_same_text(read: Any):
    first = EmailMessage()
    first.set_content("plain words")
    first.add_alternative("<p>the same as page</p>", subtype="html")
    whole = EmailMessage()
    whole["Subject"] = "parts"
    whole.make_mixed()
    whole.attach(first)
    for subtype, content in (
        ("plain", "second part"),
        ("html", "<p>third part</p>"),
        ("calendar", "SUMMARY:fourth part"),
    ):
        part = EmailMessage()
        part.set_content(content, subtype=subtype)
        whole.attach(part)
    text, _ = read("m.eml", whole.as_bytes())
    assert all(words in text for words in ("plain words", "second part", "third part", "fourth part"))
    assert "the same as page" not in text


def test_attachment_inside_the_other_version_of_a_text_is_kept(read: Any):
    whole = EmailMessage()
    whole["Subject"] = "picture"
    whole.set_content("plain words")
    whole.add_alternative("<p>page</p>", subtype="html")
    page = whole.get_payload()[1]  # type: ignore[index]
    page.add_related(b"GIF87a", maintype="image", subtype="gif", cid="<1>", filename="logo.gif")  # type: ignore[union-attr]
    assert [one["name"] for one in read("m.eml", whole.as_bytes())[1]["attachments"]] == ["logo.gif"]


def test_more_than_200_attachments_are_all_kept(read: Any):
    files = {f"{number}.bin": b"x" for number in range(250)}
    assert len(read("m.eml", mail("many", files=files).as_bytes())[1]["attachments"]) == 250


def test_mails_nested_deeper_than_the_budget_are_counted(read: Any):
    nested = mail("innermost")
    for depth in range(budget.DEPTH_LIMIT + 3):
        nested = mail(f"level {depth}", inside=nested)
    text, found = read("m.eml", nested.as_bytes())
    assert "level 3" in text
    assert "innermost" not in text
    assert found["left_out"] == [f"1 mails more than {budget.DEPTH_LIMIT} deep in others"]


def test_what_the_budget_leaves_out_is_counted():
    small = Budget(attachments=2, attachment_bytes=5, text=10)
    files = {"a": b"123", "b": b"123", "c": b"1", "d": b"1"}
    with tempfile.TemporaryFile() as file:
        text, found = reader.read_mail(mail("many", files=files).as_bytes(), Answer(file.fileno()), small)
    assert [one["name"] for one in found["attachments"]] == ["a", "c"]
    assert small.fitting(text) == text[:10]
    assert [line.split()[0] for line in small.left_out] == ["1", "1", f"{len(text) - 10:,}"]
    assert dataclasses.asdict(small)["attachments"] == 0


def test_mail_in_koi8_without_a_charset_is_not_garbled(read: Any):
    head = b"Subject: hello\nFrom: a@example.com\n\n"
    assert RUSSIAN in read("m.eml", head + RUSSIAN.encode("koi8-r"))[0]


def test_mail_without_headers_is_refused(read: Any):
    with pytest.raises(Unreadable, match="so it is no mail"):
        read("note.eml", b"just some words\n\nand more")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (lambda whole: whole[: whole.rindex(b"--==")], "1 end of a mail, which breaks off"),
        (lambda whole: whole.replace(b"--==", b"__=="), "1 mail in parts, none of which is found"),
        (lambda whole: whole.replace(b"QUJD", b"Q*!UJD"), "1 part whose encoding is damaged (base64): read as far"),
        (lambda whole: whole.replace(b"QUJD", b"QUJDR"), "1 part whose encoding is damaged (base64): kept as it came"),
        (lambda whole: whole, ""),
    ],
    ids=["cut off", "no boundary", "other characters", "too short", "whole"],
)
def test_mail_that_is_damaged_says_so(read: Any, part: Callable[[bytes], bytes], said: str):
    whole = mail("Cut", "some words", files={"data.bin": b"ABC"}).as_bytes()
    left_out = read("m.eml", part(whole))[1]["left_out"]
    assert said in "".join(left_out)
    assert bool(left_out) == bool(said)
