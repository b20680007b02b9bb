"""What one document may become, and what was left out because of it: nothing is left out without a word."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

#: Characters of text of one document, what is inside of it included; a book of 1,000 pages has 3 million.
TEXT_LIMIT = 100_000_000
#: Attachments of one mail with all mails inside of it.
ATTACHMENTS_LIMIT = 5_000
#: Bytes of all attachments together: a mail is at most 200 MB, and packed as text when it is sent.
ATTACHMENT_BYTES_LIMIT = 400 * 1024**2
#: Attachments of one mail, those of mails inside of it too, whose text is read.
DOCUMENTS_LIMIT = 1_000
#: How deep mails may lie in mails; forwarding fifteen times is plenty.
DEPTH_LIMIT = 16
#: Parts of one mail with all mails inside of it.
PARTS_LIMIT = 50_000


@dataclass
class Budget:
    """Counts down while a document is read."""

    text: int = TEXT_LIMIT
    attachments: int = ATTACHMENTS_LIMIT
    attachment_bytes: int = ATTACHMENT_BYTES_LIMIT
    depth: int = DEPTH_LIMIT
    parts: int = PARTS_LIMIT
    documents: int = DOCUMENTS_LIMIT
    _left_out: Counter[str] = field(default_factory=Counter)

    def leave_out(self, what: str, count: int = 1) -> None:
        """Note that so many of something were left out."""
        self._left_out[what] += count

    def takes_attachment(self, size: int) -> bool:
        """Whether there is room for one more; notes it if not."""
        if self.attachments < 1:
            self.leave_out(f"attachments after the first {ATTACHMENTS_LIMIT:,}")
            return False
        if size > self.attachment_bytes:
            self.leave_out(f"attachments beyond {ATTACHMENT_BYTES_LIMIT // 1024**2} MB in all")
            return False
        self.attachments -= 1
        self.attachment_bytes -= size
        return True

    def takes_part(self) -> bool:
        """Whether one more part of a mail is read; notes it if not."""
        if self.parts < 1:
            self.leave_out(f"parts after the first {PARTS_LIMIT:,}")
            return False
        self.parts -= 1
        return True

    def takes_document(self) -> bool:
        """Whether the text of one more attachment is read; notes it if not."""
        if self.documents < 1:
            self.leave_out(f"attachments' texts after the first {DOCUMENTS_LIMIT:,}")
            return False
        self.documents -= 1
        return True

    def fitting(self, text: str) -> str:
        """As much of a text as there is room for; notes how many characters were cut off."""
        if len(text) > self.text:
            self.leave_out(f"characters of text after the first {TEXT_LIMIT:,}", len(text) - self.text)
        kept = text[: self.text]
        self.text -= len(kept)
        return kept

    @property
    def left_out(self) -> list[str]:
        """One line each, with how many."""
        return [f"{count:,} {what}" for what, count in self._left_out.items()]
