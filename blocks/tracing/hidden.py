"""What must not leave with a span: values of the job's parameters, secrets of its environment, and what looks like a secret.

Danger: a value is found by being equal to one that is known, or by how it is written. What is neither cannot be found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit, urlunsplit

from redrive.blocks.core.masking import MASK, is_secret_name, mask_text

#: Characters of a value from which on it is told from ordinary words; of a job with more values than this no text leaves at all.
SHORTEST, MOST = 4, 2_000
#: Characters of an attribute that vendors take: New Relic cuts at 4,095.
LONGEST = 4_095
CUT = " … "
#: Characters from which on a text may have been cut by whoever made it: messages of failures, labels, the SDK's attributes.
MAYBE_CUT = 900

_SQL_LITERAL = re.compile(r"'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$|(?<![\w$])\d+(?:\.\d+)?\b", re.DOTALL)
_QUERY = re.compile(r"(?P<name>[^=&;]+)=[^&;]*")
_MAIL = re.compile(r"[^\s<>,;:\"@/]+@[^\s<>,;:\"@/]+")
#: A name with an ending; one without may be any word.
_FILE = re.compile(r".*\w\.\w{1,8}")
_OURS = ("messaging.", "redrive.")
_URLS = frozenset({"url.full", "http.url", "http.target", "url.query", "url.path"})
_STATEMENTS = frozenset({"db.statement", "db.query.text"})


class Hidden:
    """What is hidden in this process now."""

    def __init__(self, known: Mapping[str, str] | None = None, *, everything: bool = False) -> None:
        self._names = dict(known or {})
        self._longest_first = sorted(self._names, key=len, reverse=True)
        self._everything = everything

    def _sought(self, text: str) -> str:
        """A secret anywhere; other values where they stand for themselves: `mail` is not meant by `mailbox`."""
        if self._names[text] == MASK:
            return re.escape(text)
        before = r"(?<!\w)" if text[0].isalnum() else ""
        return before + re.escape(text) + (r"(?!\w)" if text[-1].isalnum() else "")

    @classmethod
    def of_job(
        cls,
        parameters: Mapping[str, Any],
        environ: Mapping[str, str] | None = None,
        *,
        allowed: frozenset[str] = frozenset(),
    ) -> Hidden:
        """Hides values of a job's parameters, unless allowed by name, and secrets of its environment.

        A value reads `{name}` afterwards, where `name` is its parameter, or `***` if it is a secret.
        """
        known: dict[str, str] = {}
        hidden = ((name, value) for name, value in parameters.items() if name not in allowed or is_secret_name(name))
        values = (one for name, value in hidden for one in _texts(name, value, shown=f"{{{name}}}"))
        for text, shown in islice(values, MOST + 1):
            known.setdefault(text, shown)
        if len(known) > MOST:
            # Looking for each in every text would take longer than the job.
            return cls(everything=True)
        for name, value in (os.environ if environ is None else environ).items():
            for secret in _secrets(name, value):
                known[secret] = MASK
        written = {
            form: shown
            for text, shown in known.items()
            for form in {text, quote(text), quote_plus(text), repr(text)[1:-1]}
        }
        return cls({text: shown for text, shown in written.items() if len(text) >= SHORTEST})

    def text(self, text: str, *, limit: int = LONGEST) -> str:
        """A text as it may leave; a long one keeps its beginning and, above all, its end."""
        if self._everything:
            return MASK if text else text
        if len(text) >= MAYBE_CUT:
            text = self._whole_at_both_ends(text)
        # Most texts hold none of them, and to find one is quicker than to try them all at each place.
        if there := [one for one in self._longest_first if one in text]:
            pattern = "|".join(map(self._sought, there))
            text = re.sub(pattern, lambda found: self._names[found.group()], text)
        text = mask_text(text)
        return text if len(text) <= limit else text[: limit // 4] + CUT + text[len(CUT) - (limit - limit // 4) :]

    def _whole_at_both_ends(self, text: str) -> str:
        """The text without what is left of a value in which it was cut off."""
        for value in self._longest_first:
            for size in range(len(value) - 1, SHORTEST - 1, -1) if text[-SHORTEST:] in value else ():
                if text.endswith(value[:size]):
                    text = text[:-size] + self._names[value]
                    break
            for size in range(len(value) - 1, SHORTEST - 1, -1) if text[:SHORTEST] in value else ():
                if text.startswith(value[-size:]):
                    text = self._names[value] + text[size:]
                    break
        return text

    def value(self, key: str, value: object) -> str | bool | int | float | list[Any]:
        """An attribute's value as it may leave."""
        if isinstance(value, bool | int | float):
            return value
        if isinstance(value, list | tuple):
            return [self.value(key, one) for one in value]
        text = str(value)
        if key.startswith(_OURS):
            # Names that we gave: a parameter whose value is `mail` must not change the job type of that name.
            return text[:LONGEST]
        if is_secret_name(key):
            return MASK
        if key in _URLS:
            text = _without_values(text)
        elif key in _STATEMENTS:
            text = _SQL_LITERAL.sub("?", text)
        return self.text(text)


def _texts(name: str, value: Any, *, shown: str, depth: int = 8) -> Iterator[tuple[str, str]]:
    shown = MASK if is_secret_name(name) else shown
    match value:
        case str():
            yield value, shown
            for part in _parts(value):
                yield part, shown
            if password := _password(value):
                yield password, MASK
        case bool() | None:
            return
        case int() | float():
            yield str(value), shown
        case Mapping() if depth:
            for key, inner in value.items():
                yield from _texts(str(key), inner, shown=shown, depth=depth - 1)
        case list() | tuple() | set() if depth:
            for inner in value:
                yield from _texts("", inner, shown=shown, depth=depth - 1)
        case _:
            yield str(value), shown


def _parts(value: str) -> Iterator[str]:
    """What messages quote of a value: the bare address of `Ada <ada@example.com>`, the name of a path's file."""
    yield from (found.group() for found in _MAIL.finditer(value) if found.group() != value)
    place = re.split(r"[?#]", value, maxsplit=1)[0]
    if "/" in place and _FILE.fullmatch(last := place.rpartition("/")[2]):
        yield last


def _secrets(name: str, value: str) -> Iterator[str]:
    if is_secret_name(name):
        yield value
    if password := _password(value):
        yield password


def _password(text: str) -> str | None:
    if "://" not in text or "@" not in text:
        return None
    try:
        found = urlsplit(text).password
    except ValueError:
        return None
    return unquote(found) if found else None


def _without_values(url: str) -> str:
    """An address without user, password, fragment and the values of its query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, _QUERY.sub(rf"\g<name>={MASK}", parts.query), ""))
