"""HTML as text: pages, and the HTML parts of mails."""

from __future__ import annotations

import re
from typing import Any

from redrive.flows.documents import charset, formats
from redrive.flows.documents.page_words import left_out

#: A picture inside of a page: half a megabyte of letters that nobody reads.
_INLINE = re.compile(r"""data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*,[^"'\s)>]*(?:\s+[A-Za-z0-9+/=]{40,})*""", re.IGNORECASE)
_CHARSET = re.compile(
    r"""(<meta[^>]{0,500}?charset\s*=\s*["']?\s*|<\?xml[^>]{0,200}?encoding\s*=\s*["'])[\w.:-]+""", re.IGNORECASE
)
#: Characters at the begin of a page in which its charset is declared.
_HEAD = 4096


def page_text(content: bytes, declared: str | None = None) -> str:
    return page(content, declared)[0]


def page(content: bytes, declared: str | None = None) -> tuple[str, Any]:
    """The text of a page, and what kreuzberg makes of it, given to it as UTF-8.

    Raises:
        Unreadable: it is no text.
    """
    text = charset.decoded(content, declared or charset.declared_in(content))
    if charset.is_binary(content, text):
        raise formats.Unreadable(formats.BINARY)
    text = _INLINE.sub("", text)
    # What it declares was true of its bytes, not of those it is given on as.
    text = _CHARSET.sub(r"\g<1>utf-8", text[:_HEAD]) + text[_HEAD:]
    result = formats.extracted(text.encode(errors="replace"), formats.HTML)
    more = left_out(text, result.content)
    return f"{result.content}\n\n{more}" if more else result.content, result
