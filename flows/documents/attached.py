"""Attachments that are documents themselves: each is read in a sandbox of its own, and its text joined to that of its mail.

What is not read is said in the record: a corrupt attachment does not make its mail unreadable.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from redrive.flows.documents import formats
from redrive.flows.documents.budget import Budget
from redrive.flows.documents.content import sealed
from redrive.flows.documents.formats import Unreadable
from redrive.flows.documents.made import Inside, Made
from redrive.flows.documents.reading_stopped import ReadingTimedOut
from redrive.flows.documents.sandboxes import Sandboxes

_READABLE = frozenset(formats.BY_ENDING.values())


def join_texts(sandboxes: Sandboxes, made: Made, *, ends: float) -> None:
    """Read the attachments that can be read, those of attached mails too.

    Args:
        ends: monotonic time after which no further one is read.

    Raises:
        ReadingStopped: as `Sandboxes.extracted`, but for want of time.
    """
    reading = _Reading(sandboxes, Budget(), ends)
    reading.budget.text -= made.found.characters
    texts = list(reading.texts(made, depth=1))
    made.unfinished = reading.out_of_time
    made.found.left_out += reading.budget.left_out
    if not texts:
        return
    text = "\n\n".join([made.text.decode(errors="replace"), *texts])
    made.text = stored = text.encode(errors="replace")
    made.found.characters = len(text)
    made.found.words = len(text.split())
    made.found.text_sha256 = hashlib.sha256(stored).hexdigest()


@dataclass
class _Reading:
    sandboxes: Sandboxes
    budget: Budget
    ends: float
    out_of_time: bool = False

    def texts(self, made: Made, *, depth: int) -> Iterator[str]:
        for one in made.found.attachments:
            mime = _format(one)
            if mime is not None and self._may_read(depth):
                yield from self._text(made, one, mime, depth)

    def _may_read(self, depth: int) -> bool:
        if depth > self.budget.depth:
            self.budget.leave_out(f"attachments' texts more than {self.budget.depth} deep in others")
        elif time.monotonic() >= self.ends:
            self.out_of_time = True
            self.budget.leave_out("attachments' texts, for which no time was left")
        else:
            return self.budget.takes_document()
        return False

    def _text(self, made: Made, one: Inside, mime: str, depth: int) -> Iterator[str]:
        try:
            with (
                sealed(made.attachment(one)) as file,
                self.sandboxes.extracted(file, mime, wall_limit=max(1, self.ends - time.monotonic())) as inner,
            ):
                for left_out in inner.found.left_out:
                    self.budget.leave_out(f"attachment {one.name}, of which is missing: {left_out}")
                if inner.found.characters:
                    text = self.budget.fitting(inner.text.decode(errors="replace"))
                    yield f"Attachment {one.name}:\n\n{text}"
                else:
                    self.budget.leave_out(f"attachment's text: {one.name}, {inner.found.empty_because}")
                yield from self.texts(inner, depth=depth + 1)
        except (Unreadable, ReadingTimedOut) as error:
            self.out_of_time = self.out_of_time or isinstance(error, ReadingTimedOut)
            self.budget.leave_out(f"attachment's text: {one.name} {error}")


def _format(one: Inside) -> str | None:
    """How it is read, by its name, else by what the mail calls it; None: not at all."""
    try:
        return formats.by_ending(one.name)
    except Unreadable:
        if one.mime in _READABLE:
            return one.mime
        return formats.TXT if one.mime.startswith("text/") else None
