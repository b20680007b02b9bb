"""Lines of a cell: a text broken where its column ends, and cut with a mark where it has too many lines."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from redrive.flows.reports.fonts import Widths
from redrive.flows.reports.sheet import CUT, LINES_LIMIT

#: Pieces that stay together: a word with the space or hyphen behind it; each sign of a script that has no spaces.
_NO_SPACES = r"\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef"
_PIECES = re.compile(rf"[{_NO_SPACES}]|[^\s\-/{_NO_SPACES}]*(?:[\-/]+|[ \u3000]+|$)|.", re.DOTALL)


def lines(text: str, width: float, measure: Widths, *, limit: int = LINES_LIMIT) -> tuple[list[str], bool]:
    """The text in lines of at most that width (em), and whether it had to be cut."""
    if "\n" not in text and measure.of(text) <= width:
        return [text], False
    found: list[str] = []
    for line in _broken(text, width, measure):
        if len(found) == limit:
            found[-1] = _marked(found[-1], width, measure)
            return found, True
        found.append(line)
    return found or [""], False


def one_line(text: str, width: float, measure: Widths) -> tuple[str, bool]:
    """The text if it fits, else its beginning with a mark."""
    if measure.of(text) <= width:
        return text, False
    return _marked(text, width, measure), True


def _broken(text: str, width: float, measure: Widths) -> Iterator[str]:
    for paragraph in text.split("\n"):
        line, used = "", 0.0
        for piece in _PIECES.findall(paragraph):
            size = measure.of(piece.rstrip())
            if line and used + size > width:
                yield line.rstrip()
                line, used = "", 0.0
            if size > width:
                *full, piece = _chopped(piece, width, measure)  # noqa: PLW2901  (what is left of it goes on)
                yield from full
            line += piece
            used += measure.of(piece)
        yield line.rstrip()


def _chopped(word: str, width: float, measure: Widths) -> list[str]:
    parts, start, used = [], 0, 0.0
    for place, char in enumerate(word):
        wide = measure[char]
        if used + wide > width and place > start and not _joined(word, place):
            parts.append(word[start:place])
            start, used = place, 0.0
        used += wide
    return [*parts, word[start:]]


def _joined(word: str, place: int) -> bool:
    """Whether a sign belongs to the one before it."""
    return bool(unicodedata.combining(word[place])) or word[place] in "\u200d\ufe0f" or word[place - 1] == "\u200d"


def _marked(line: str, width: float, measure: Widths) -> str:
    room = width - measure[CUT]
    end, used = 0, 0.0
    for char in line:
        used += measure[char]
        if used > room:
            break
        end += 1
    return line[:end].rstrip() + CUT
