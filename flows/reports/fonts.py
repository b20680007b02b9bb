"""The report's own fonts: which characters they have, how wide they are, and the part of them a page needs.

Danger: what none of them has is not drawn by Typst at all, so such characters are found here and shown as a mark.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fontTools import subset
from fontTools.ttLib import TTFont

FONTS = Path(__file__).resolve().parent / "templates" / "fonts"
#: Stands for a character that none of the fonts has.
MISSING = "\ufffd"
#: Not drawn themselves: joiners, selectors of a variant, line ends.
_INVISIBLE = frozenset("\n\u00ad\u200b\u200c\u200d\u2060\ufe0e\ufe0f")


class Face(NamedTuple):
    """A font of ours and the family it is asked for by."""

    family: str
    regular: str
    strong: str


#: In the order in which they are asked for a character.
FACES = (
    Face("Open Sans", "OpenSans-Regular.ttf", "OpenSans-Semibold.ttf"),
    Face("Noto Sans Arabic", "NotoSansArabic-Regular.ttf", "NotoSansArabic-Bold.ttf"),
    Face("Noto Sans Hebrew", "NotoSansHebrew-Regular.ttf", "NotoSansHebrew-Bold.ttf"),
    Face("Noto Sans CJK SC", "NotoSansCJKsc-Regular.otf", ""),
    Face("Noto Sans Devanagari", "NotoSansDevanagari-Regular.ttf", ""),
    Face("Noto Sans Thai", "NotoSansThai-Regular.ttf", ""),
    Face("Symbola", "Symbola.ttf", ""),
)


class Widths(dict[str, float]):
    """Advance widths by character, in em; a missing one is looked up in the fonts once."""

    def __init__(self, *, strong: bool = False) -> None:
        super().__init__()
        self._strong = strong

    def __missing__(self, char: str) -> float:
        width = self[char] = self._looked_up(char)
        return width

    def of(self, text: str) -> float:
        """Width of a text in one line, in em; kerning would make it a little narrower."""
        return sum(map(self.__getitem__, text))

    def _looked_up(self, char: str) -> float:
        if char in _INVISIBLE:
            return 0.0
        for face in FACES:
            file = face.strong if self._strong and face.strong else face.regular
            advance = _advances(file).get(ord(char))
            if advance is not None:
                return advance
        return self[MISSING] if char != MISSING else 1.0


@cache
def widths(*, strong: bool = False) -> Widths:
    """Widths of the regular or the strong fonts."""
    return Widths(strong=strong)


@cache
def is_drawn(char: str) -> bool:
    """Whether one of the fonts has the character."""
    return char in _INVISIBLE or any(ord(char) in _advances(face.regular) for face in FACES)


def drawable(text: str, missing: set[str]) -> str:
    """The text with a mark for every character that no font has; those are added to `missing`."""
    if text.isascii():
        return text
    gone = {char for char in text if not is_drawn(char)}
    if not gone:
        return text
    missing |= gone
    return "".join(MISSING if char in gone else char for char in text)


def style(texts: Iterable[str]) -> str:
    """CSS with the part of each font that the texts need, as data inside it."""
    chars = {char for text in texts for char in text} | set("0123456789")
    rules = []
    for face in FACES:
        needed = chars & {chr(code) for code in _advances(face.regular)}
        chars -= needed
        if not needed:
            continue
        for file, weight in ((face.regular, "400"), (face.strong, "600")):
            if file:
                data = base64.b64encode(_part(file, frozenset(needed))).decode()
                rules.append(
                    f'@font-face{{font-family:"{face.family}";font-weight:{weight};font-display:block;'
                    f"src:url(data:font/woff2;base64,{data}) format('woff2')}}"
                )
    return "\n".join(rules)


def stack() -> str:
    """The families in order, for CSS; a reader's own coloured emoji stand before our plain ones."""
    *text, symbols = [f'"{face.family}"' for face in FACES]
    return ", ".join([*text, '"Apple Color Emoji"', '"Segoe UI Emoji"', '"Noto Color Emoji"', symbols, "sans-serif"])


@cache
def _advances(file: str) -> dict[int, float]:
    with TTFont(FONTS / file, lazy=True) as font:
        unit = font["head"].unitsPerEm
        metrics = font["hmtx"].metrics
        return {code: metrics[name][0] / unit for code, name in font.getBestCmap().items()}


def _part(file: str, chars: frozenset[str]) -> bytes:
    options = subset.Options()
    options.flavor = "woff2"
    options.hinting = False
    options.layout_features = ["*"]
    options.name_IDs = [1, 2, 13]
    options.notdef_outline = True
    font = subset.load_font(str(FONTS / file), options, lazy=True)
    cut = subset.Subsetter(options)
    cut.populate(unicodes=[ord(char) for char in chars])
    cut.subset(font)
    content = io.BytesIO()
    subset.save_font(font, content, options)
    return content.getvalue()
