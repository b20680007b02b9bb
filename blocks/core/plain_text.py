"""Foreign text made harmless where it is shown: on a terminal, in JSON, in Markdown.

Foreign is whatever a job, a sender or a caller wrote: messages, parameters, names, logs, mail. Its words stay, what steers a
terminal or a page goes: escape sequences (C0 and C1), carriage returns, bidirectional overrides, markup.

Danger: whatever prints foreign text goes through here; a printer that does not lets a log line rewrite the screen.
"""

from __future__ import annotations

import re

#: What stands where a control character was.
REPLACED = "\N{REPLACEMENT CHARACTER}"

#: What ends a line somewhere: a lone carriage return would let the rest overwrite the line's beginning.
_BREAK = re.compile("\r\n|[\n\r\v\f\x85\u2028\u2029]")
# C0, DEL, C1; embeddings, overrides and isolates of the bidirectional algorithm (Unicode TR 36); annotations and tags, which
# hide text; halves of surrogate pairs, which no stream can encode. Marks like U+200E stay: right-to-left text needs them.
_STEERING = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)
# In JSON nothing may get lost, so these are escaped: all of the above that `json.dumps` writes as it is.
_UNESCAPED = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]")
# Only what is markup inside a line, so that an ordinary message reads the same where Markdown is not rendered.
_MARKDOWN = re.compile(r"[\\`*\[\]|]|(?<![^\W_])_|_(?![^\W_])|~(?=~)")
_HTML = re.compile(r"<|&(?=#|\w+;)")
#: Where Markdown would make a link of an address by itself.
_ADDRESS = re.compile(r"(?i)(?<=[a-z])(?=://)|(?<=\bwww)(?=\.)|(?=@)")
_FENCE = re.compile("`{3,}")


def plain_text(text: str) -> str:
    """The text with its lines and tabs, and nothing that steers a terminal."""
    return _STEERING.sub(REPLACED, _BREAK.sub("\n", text))


def plain_line(text: str) -> str:
    """The same in one line, as a table's cell or a name needs it."""
    return _STEERING.sub(REPLACED, _BREAK.sub(" ", text).replace("\t", " "))


def plain_json(text: str) -> str:
    """JSON with the same values in it, and nothing that steers a terminal: such characters are escaped."""
    return _UNESCAPED.sub(lambda found: _escaped(found[0]), text)


def markdown(text: str) -> str:
    """The text in one line of Markdown that shows it as it is: no markup, no HTML, no link of its own."""
    escaped = _MARKDOWN.sub(lambda found: f"\\{found[0]}", plain_line(text))
    escaped = _HTML.sub(lambda found: "&lt;" if found[0] == "<" else "&amp;", escaped)
    return _ADDRESS.sub(r"\\", escaped)


def code_block(text: str) -> str:
    """The text as a block of Markdown that nothing in it can end."""
    shown = plain_text(text)
    fence = "`" * max([3, *(len(one) + 1 for one in _FENCE.findall(shown))])
    return f"{fence}text\n{shown}\n{fence}"


def _escaped(character: str) -> str:
    code = ord(character)
    if code <= 0xFFFF:  # noqa: PLR2004  (the last code point that JSON writes as one escape)
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
