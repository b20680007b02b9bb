"""Which characters bytes mean: told by a mark, by themselves, by what was declared, or guessed; and what is no text at all.

Danger: a wrong guess is a wrong text called right. So what is certain comes first (marks, valid UTF-8), then the sender's word,
and only then the guess.
"""

from __future__ import annotations

import codecs
import re
import unicodedata

import cchardet

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: What writers call one thing and mean the larger one by (as browsers read them, WHATWG Encoding Standard).
_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "cp950",
}
#: Bytes a guess is made from; more changes no guess.
SAMPLE = 256 * 1024
#: Characters beyond ASCII that are valid UTF-8 for each byte that is not: other charsets have more of the second kind.
RIGHT_TO_WRONG = 10
#: Bytes; below that, zeros tell nothing.
TWO_CHARACTERS = 4
#: The escape that begins two-byte characters in ISO-2022-JP, which else looks like ASCII.
_ISO_2022 = b"\x1b$"

_MAGIC = (
    b"%PDF-", b"PK\x03\x04", b"\x7fELF", b"\x89PNG\r\n", b"GIF87a", b"GIF89a", b"\xff\xd8\xff", b"\x1f\x8b\x08", b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"SQLite format 3\x00", b"RIFF", b"OggS", b"ID3",
)  # fmt: skip
#: Control characters that do stand in texts: tab, ends of lines and pages, backspace, escape sequences of terminals in logs.
_IN_TEXTS = frozenset("\t\n\r\f\v\b\x1b\x85")
#: Share of characters that stand in no text above which it is none: a log with a few stray bytes is one, a picture is not.
STRANGE_SHARE = 0.02
#: Characters that are looked at.
STRANGE_SAMPLE = 20_000

_DECLARED = re.compile(
    rb"""<meta[^>]{0,500}?charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)""",
    re.IGNORECASE,
)
#: Bytes at the begin of a page within which its charset must be declared; browsers take 1,024.
_HEAD = 4096


def decoded(content: bytes, declared: str | None = None) -> str:
    """Text of bytes; what no charset explains becomes U+FFFD.

    Args:
        declared: the charset the sender named, if any.
    """
    for bom, charset in _BOMS:
        if content.startswith(bom):
            return content.decode(charset, errors="replace")
    if wide := _wide(content[:4096]):
        return content.decode(wide, errors="replace")
    # UTF-8 is never valid by chance, and senders that declare another charset by habit are many. Only ISO-2022 looks like ASCII.
    text = _utf8(content) if _ISO_2022 not in content[:SAMPLE] else None
    if text is None:
        text = _strictly(content, _meant(declared))
    if text is None:
        text = _strictly(content, _guessed(content))
    return content.decode("cp1252", errors="replace") if text is None else text


def _utf8(content: bytes) -> str | None:
    """The text, if it can be nothing else: no byte is wrong, or few are beside those that are right (a log, cut off or written over)."""
    text = content.decode(errors="replace")
    marks = text.count("\ufffd")
    wrong = marks - content.count("\ufffd".encode()) if marks else 0
    right = len(text) - len(text.encode("ascii", errors="ignore")) - marks if wrong else 0
    return text if right >= RIGHT_TO_WRONG * wrong else None


def _guessed(content: bytes) -> str | None:
    return _meant(cchardet.detect(content[:SAMPLE]).get("encoding"))


def _strictly(content: bytes, charset: str | None) -> str | None:
    try:
        return content.decode(charset) if charset else None
    except UnicodeDecodeError:
        return None


def declared_in(page: bytes) -> str | None:
    """The charset that an HTML page declares for itself."""
    found = _DECLARED.search(page[:_HEAD])
    return (found[1] or found[2]).decode("ascii", errors="ignore") if found else None


def is_binary(content: bytes, text: str) -> bool:
    """Whether content that was decoded as `text` is no text: a picture, a program, an archive."""
    if content.startswith(_MAGIC):
        return True
    sample = text[:STRANGE_SAMPLE]
    if "\ufffd" not in sample and "".join(sample.split()).isprintable():
        return False
    strange = sum(
        character not in _IN_TEXTS and (character == "\ufffd" or unicodedata.category(character) in {"Cc", "Cn"})
        for character in sample
    )
    return strange > STRANGE_SHARE * len(sample)


def _wide(sample: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of western text is 0."""
    if len(sample) < TWO_CHARACTERS:
        return None
    for offset, charset in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros = sample[offset::2].count(0)
        if zeros > 0.4 * len(sample[offset::2]) and sample[1 - offset :: 2].count(0) < zeros / 4:
            return charset
    return None


def _meant(charset: str | None) -> str | None:
    """Python's name of the charset that is meant; None if there is none of that name."""
    try:
        name = codecs.lookup(charset).name if charset else None
    except LookupError:
        return None
    return _MEANT.get(name, name) if name else None
