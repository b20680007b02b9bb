"""What a person may have meant by a name that there is not.

Danger: only ever a suggestion: nothing is done by the nearest name.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: How alike two names must be, 0 to 1, to be told as the other's meaning.
ALIKE = 0.5


def unknown(what: str, given: str, known: Iterable[str]) -> str:
    """`there is no queue 'hgih'; did you mean 'high'? (high, default, low)`."""
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(given.lower(), names, n=1, cutoff=ALIKE)
    listed = ", ".join(names.values()) or "none"
    hint = f"did you mean {names[close[0]]!r}? There are {listed}" if close else f"there are {listed}"
    return f"there is no {what} {given!r}; {hint}"
