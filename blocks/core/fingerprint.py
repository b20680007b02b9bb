"""The fingerprint of a failure: twelve hex digits that are equal when the cause is equal.

Danger: a change of these rules regroups new failures only; rows already in the ledger keep the fingerprint they were recorded with.
"""

from __future__ import annotations

import hashlib
import re

from redrive.blocks.core.message_pattern import normalise

#: Characters of the traceback that are read, from its end: the innermost frames stand there.
TRACEBACK_LIMIT = 32_000

#: Project frames that name a place. One would merge two callers of one shared function; many would split a group each time
#: an outer caller is renamed.
PLACE_FRAMES = 2

#: Errors of Python itself. Their message says what is odd (`'NoneType' object has no attribute 'id'`), not what broke, so the
#: place in the code is needed to tell causes apart.
_PYTHON_ERRORS = frozenset({
    "ArithmeticError", "AssertionError", "AttributeError", "BaseException", "EOFError", "Exception", "FloatingPointError",
    "IndexError", "KeyError", "LookupError", "NameError", "NotImplementedError", "OverflowError", "RecursionError",
    "RuntimeError", "StopAsyncIteration", "StopIteration", "TypeError", "UnboundLocalError", "UnicodeDecodeError",
    "UnicodeEncodeError", "UnicodeError", "ValueError", "ZeroDivisionError",
})  # fmt: skip

_FRAME = re.compile(r'^[ |]{0,40}File "([^"\n]{1,1000})", line \d+, in ([^\n]{1,200})$', re.MULTILINE)
_LIBRARY = re.compile(r"[\\/](?:site-packages|dist-packages|lib[\\/]python\d[\d.]*)[\\/]|^<", re.IGNORECASE)
_HEADER = "Traceback (most recent call last):"
_WORD = re.compile(r"[^\W\d_]{2,}")


def fingerprint(*, job: str, error_type: str, message: str, traceback: str | None, step: str | None) -> str:
    """Twelve hex digits for the cause of a failure; the same in every process and on every host.

    The cause is the error's class name and its message without data (`normalise`). That alone identifies a failure of the
    world outside (`SMTPServerDisconnected`, `Connection refused`) or an error class of one's own, so those group across job
    types, whether or not a traceback came with the row, and wherever in the code they surfaced.

    An error of Python itself (`KeyError`, `ValueError`, …) or a message without words says too little. There the place
    counts too: file and function of the innermost project frames of the last traceback (never line numbers, so an unrelated
    edit does not split a group; never library frames, so an upgrade does not; two folders of the path at most, so two hosts
    agree). Without such a frame, the job type and its step are the place. The price: a `KeyError` that lost its traceback
    stands apart from the same one with it. That is the safer mistake, because a group is what people redrive in one command.
    """
    kind = error_type.rpartition(".")[2]
    pattern = normalise(message)
    cause = [kind, pattern]
    if kind in _PYTHON_ERRORS or not _WORD.search(pattern):
        cause += _place(traceback) or [job, step or ""]
    return hashlib.sha256("\x1f".join(cause).encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _place(traceback: str | None) -> list[str]:
    """`folder/file.py:function` of the innermost project frames, outer one first; empty if there is none."""
    if not traceback:
        return []
    final = traceback[-TRACEBACK_LIMIT:].rpartition(_HEADER)[2]
    places: list[str] = []
    for path, function in _FRAME.findall(final):
        if _LIBRARY.search(path):
            continue
        place = "/".join(re.split(r"[\\/]", path)[-2:]) + ":" + function
        # A recursion of any depth is one place.
        if not places or places[-1] != place:
            places.append(place)
    return places[-PLACE_FRAMES:]
