"""A second reader of pages, that knows nothing of layout and so loses nothing: the lines whose words the first one left out."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_WORD = re.compile(r"\w+")
#: What is inside of them is no text of the page.
_NO_TEXT = {"script", "style", "template", "head"}
#: What does not end a line.
_INLINE = {
    "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "label", "mark", "q", "rp",
    "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "wbr",
}  # fmt: skip


def left_out(page: str, text: str) -> str:
    """The lines of a page with words that are not in `text`."""
    reading = _Lines()
    reading.feed(page)
    reading.close()
    reading.end_line()
    known = set(_WORD.findall(text))
    # Words that touch in the text of the first reader are in it too.
    return "\n".join(
        dict.fromkeys(
            line
            for line in reading.lines
            if any(word not in known and word not in text for word in _WORD.findall(line))
        )
    )


class _Lines(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = []
        self._line: list[str] = []
        self._skipping: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  (as it is called)
        if tag in _NO_TEXT:
            self._skipping.append(tag)
        elif tag == "body":
            self._skipping.clear()
        if tag not in _INLINE:
            self.end_line()

    def handle_endtag(self, tag: str) -> None:
        if tag in self._skipping:
            del self._skipping[self._skipping.index(tag) :]
        if tag not in _INLINE:
            self.end_line()

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self._line.append(data)

    def end_line(self) -> None:
        line = " ".join("".join(self._line).split())
        if line:
            self.lines.append(line)
        self._line.clear()
