"""Which libraries a template has loaded: a fork costs by what was loaded before it, so a text is not forked from what reads a PDF."""

from __future__ import annotations

from enum import IntEnum

from redrive.flows.documents import formats


class Kind(IntEnum):
    """What a template can have read: each kind reads what those below it do."""

    TEXTS = 0
    PAGES = 1
    PDFS = 2

    @classmethod
    def of(cls, mime: str) -> Kind:
        """The least that reads a format."""
        if mime in {formats.TXT, formats.CSV}:
            return cls.TEXTS
        return cls.PDFS if mime == formats.PDF else cls.PAGES
