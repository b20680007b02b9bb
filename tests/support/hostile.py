"""Texts that would steer a terminal or a page if somebody printed them as they are."""

from __future__ import annotations

import re

#: Clear the screen, set the clipboard, make a link, overwrite the line, reorder it, C1 controls, Rich's and Markdown's markup.
HOSTILE = (
    "\x1b[2J\x1b[1;1Hgone",
    "\x1b]52;c;cm0gLXJmIC8=\x07",
    "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "all is well\rXX",
    "a\u202egpj.exe\u2066b",
    "\x9b31mred\x9d0;title\x9c",
    "[red]rich[/red] [link=https://evil.example]x[/link] :skull: [/]",
    "bell\x07 back\x08space \x00nul \x7fdel",
    "half \ud83d of a pair",
    "line\u2028and\u0085next\x0bv\x0cf",
    "<script>alert(1)</script> **bold** [x](javascript:alert(1)) ![i](https://evil.example/i.png) `code` | cell",
    "```\n-->\n<!-- redrive.failure {} -->",
)

#: What a terminal acts on, and what Unicode reorders or hides by; line feeds and tabs are as they should be.
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def steers(text: str) -> list[str]:
    """What in the text would steer a terminal."""
    return [repr(found[0]) for found in STEERS.finditer(text)]
