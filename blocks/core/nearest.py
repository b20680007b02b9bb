"""What a person may have meant by a name that there is not.

Danger: only ever a suggestion: nothing is done by the nearest name.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: How alike two names must be, 0 to 1, to be told as the other's meaning.
ALIKE = 0.5


def nearest(given: str, known: Iterable[str], *, alike: float = ALIKE) -> str | None:
    """The name that is most like this one; None if none is alike enough.

    Args:
        given: what somebody wrote.
        known: the names that there are.
        alike: how alike they must be, 0 to 1.
    """
    close = difflib.get_close_matches(given, list(known), n=1, cutoff=alike)
    return close[0] if close else None


def suggestion(given: str, known: Iterable[str], otherwise: str, *, alike: float = ALIKE, written: str = "{}") -> str:
    """`did you mean high?`, or `otherwise` if no name is alike enough.

    Args:
        given: what somebody wrote.
        known: the names that there are.
        otherwise: what to say then, such as all that there are.
        alike: how alike they must be, 0 to 1.
        written: how the name is written, `{}` in its place.
    """
    close = nearest(given, known, alike=alike)
    return f"did you mean {written.format(close)}?" if close else otherwise


def unknown(what: str, given: str, known: Iterable[str]) -> str:
    """`there is no queue 'hgih'; did you mean 'high'? (high, default, low)`."""
    names = {name.lower(): name for name in known}
    close = nearest(given.lower(), names)
    listed = ", ".join(names.values()) or "none"
    hint = f"did you mean {names[close]!r}? There are {listed}" if close else f"there are {listed}"
    return f"there is no {what} {given!r}; {hint}"
