"""The pattern of an error message: what is left when its data (ids, numbers, values, places, times) is taken out.

Danger: too little taken out makes a group per job, too much merges two causes; every rule here has a test on either side.
"""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.parse import urlsplit

#: Characters of a message that are looked at: bounds the time, and no cause needs more.
MESSAGE_LIMIT = 4_000

#: Characters of the pattern that count. What follows is most often a dump whose length varies.
PATTERN_LIMIT = 500

DATA = "<*>"

#: A quoted text of this many words is prose (a server's reply), which holds a cause; a shorter one is a value.
_PROSE_WORDS = 4

_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_DAY = "(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}"
_FILE_KINDS = (
    "pdf|csv|tsv|xlsx?|docx?|pptx?|odt|json|jsonl|xml|txt|md|html?|eml|png|jpe?g|gif|tiff?|svg"
    "|zip|gz|tar|parquet|log|tmp|bak|typ|sqlite|db"
)
_SCHEMA_WORD = (
    "column|columns|table|relation|constraint|attribute|module|field|function|argument|parameter|type|class|schema|database|index|"
    "role|host|template|keyword|option|variable|command|extension|operator|sequence|view|import name|missing key|named argument"
)

#: One pass, first alternative wins. Every repetition is bounded or cannot backtrack into another, so time is linear.
_TOKEN = re.compile(
    rf"""
      (?P<dropped> \[parameters:[^\n]* | input_value=[^\n]*?(?=,\ input_type|\]|$) )
    | (?P<url> \b[a-z][a-z0-9+.-]{{1,20}}://[^\s'"<>\])}}]{{1,2000}} )
    | (?P<code> \[(?:Errno|WinError)\ -?\d+\] | \b(?:ORA|PLS|SQLSTATE|HTTP(?:/[\d.]{{1,3}})?|status(?:[ _]code)?
        |exit(?:ed)?(?:\ with)?(?:\ code|\ status)?
        |signal|errno|error\ code)[\ :=]{{0,2}}-?\d{{1,5}}\b
        | \bORA-\d{{5}}\b | \bSQLSTATE[\[\ :=]{{0,2}}[0-9A-Z]{{5}}\b
        | \(\d{{3}},(?=\ b?['"]) | '\d{{3}}\ [A-Z][A-Za-z' ]{{1,40}}' )
    | (?P<word> (?<![\w-])(?:x509|s3|(?:utf|latin|iso|base|sha|md|int|uint|float|complex|ipv|cp|oauth|http|tlsv?|sslv?|python|urllib)
        -?\d{{1,4}}(?:[._-]\d{{1,3}})?)(?![\w-]) )
    | (?P<key> =\([^()\n]{{1,300}}\) )
    | (?P<quoted> (?<!\w)(?:[bru]{{0,2}})(?:'(?:[^'\n]|(?<=\w)'(?=\w)){{0,500}}'(?!\w) | "[^"\n]{{0,500}}"(?!\w)
        | `[^`\n]{{0,500}}`)
        | “[^”\n]{{0,500}}” | «[^»\n]{{0,500}}» )
    | (?P<email> [\w.+-]{{1,64}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{0,8}} )
    | (?P<date> \b(?:{_DAY},?\ )?(?:\d{{1,2}}[\ -]{_MONTH}[\ -]\d{{2,4}}|{_MONTH}\ {{1,2}}\d{{1,2}}(?:,?\ \d{{4}})?)
        (?:,?[\ T]\d{{1,2}}:\d{{2}}(?::\d{{2}})?)?(?:\ (?:\d{{4}}|GMT|UTC|[+-]\d{{4}})\b)?
        | \b\d{{4}}-\d{{2}}-\d{{2}}(?:[T\ ]\d{{2}}:\d{{2}}(?::\d{{2}}(?:[.,]\d{{1,9}})?)?(?:\ ?(?:Z|UTC|[+-]\d{{2}}:?\d{{2}}))?)? )
    | (?P<ip> \[?(?<![\w:])(?:[0-9a-f]{{0,4}}:){{2,7}}(?:[0-9a-f]{{1,4}}|(?<=::))(?:%\w{{1,15}})?(?!\w|:[0-9a-f])\]?(?::\d{{1,5}})? )
    | (?P<path> (?<![\w<])(?:[A-Z]:[\\/]|\.{{0,2}}/|~/|\\\\)[^\s'"<>:;,()\[\]]{{1,1000}}
        | (?<![\w.@/\\-])[\w.@-]{{1,200}}(?:[\\/][\w.@-]{{1,200}}){{1,40}}\.[a-z]\w{{0,7}}\b
        | (?<![\w.@-])[\w.@-]{{1,200}}\.(?:{_FILE_KINDS})\b )
    | (?P<blob> (?<![\w/+])[\w+-][\w/+-]{{19,2000}}={{0,2}}(?![\w/+-]|[.,:]\d) )
    | (?P<mixed> (?<![\w-])[-+]?[\w-]*\d[\w-]*(?:[.,:+/][\w-]*\d[\w-]*)*
        (?:\ ?(?:%|ms|µs|us|ns|s|sec|secs|seconds?|m|min|mins|minutes?|h|hrs?|hours?|days?
        |milliseconds?|microseconds?|bytes?|[kmgt]i?b)(?!\w))? )
    | (?P<hex> \b[a-f]{{8,}}\b )
    """,
    re.VERBOSE | re.IGNORECASE,
)

_EXTENSION = re.compile(r"\.([A-Za-z]\w{0,7})$")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z_.-]{0,60}\d{0,2}")
_NAMED_BEFORE = re.compile(rf"\b(?:{_SCHEMA_WORD})s?(?: named)?[ :=]{{1,2}}$", re.IGNORECASE)
_NAMED_AFTER = re.compile(
    r"^ (?:object|codec|is not defined|attribute|column|field|module|argument|parameter|is a required)\b"
)
_REPEATED = re.compile(rf"{re.escape(DATA)}(?:[\s.,;:=|()\[\]{{}}/&-]*{re.escape(DATA)})+")
_SPACES = re.compile(r"\s+")


def normalise(message: str) -> str:
    """The message with its data replaced by `<*>`, at most `PATTERN_LIMIT` characters.

    Data: UUIDs, hex, ULIDs, tokens that mix letters and digits, numbers with their units, dates and times, IP addresses and
    ports, e-mail and memory addresses, quoted values. One mark stands for all of them, because a random id is sometimes all
    digits. Of a URL the host stays, of a path the extension, because both tell causes apart.

    Cause, and therefore kept: words; error numbers (`[Errno 111]`, `status 503`, `exit code 137`, SMTP codes); encodings and
    the like (`utf-8`); quoted prose of four words and more, its own data taken out; and a quoted *name in the program*:
    `column "a"` and `column "b"` are two mistakes with two fixes, while `customer 'a'` and `customer 'b'` are one mistake
    met twice. A quoted identifier is a name when a word of schema or code stands beside it (column, table, attribute,
    argument, …), or when it is the whole message, as in a KeyError.
    """
    text = _cut(message)
    pattern = _TOKEN.sub(lambda found: _replace(found, text), text)
    pattern = _SPACES.sub(" ", _REPEATED.sub(DATA, pattern)).strip()
    return pattern[:PATTERN_LIMIT]


def _cut(message: str) -> str:
    if len(message) <= MESSAGE_LIMIT:
        return message
    # Half a token at the cut would differ from job to job.
    return message[:MESSAGE_LIMIT].rpartition(" ")[0] or message[:MESSAGE_LIMIT]


def _replace(found: re.Match[str], text: str) -> str:  # noqa: PLR0911  (one line per kind of token)
    token = found.group()
    match found.lastgroup:
        case "dropped":
            return ""
        case "code" | "word":
            return token
        case "key":
            return "=" + DATA
        case "url":
            return _host(token)
        case "path":
            return _path(token)
        case "quoted":
            return _quoted(
                token,
                before=text[max(0, found.start() - 40) : found.start()],
                after=text[found.end() : found.end() + 20],
            )
        case "blob":
            return DATA if _is_random(token) else token
        case _:
            return DATA


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return DATA
    if not host:
        return DATA
    # Labels of a host with digits number the machines of one service.
    labels = [DATA if re.search(r"\d", label) else label for label in host.split(".")]
    return f"{parts.scheme}://{_REPEATED.sub(DATA, '.'.join(labels).replace(f'{DATA}.{DATA}', DATA))}"


def _path(path: str) -> str:
    extension = _EXTENSION.search(path.rstrip(".,!?"))
    return f"{DATA}.{extension.group(1).lower()}" if extension else DATA


def _quoted(token: str, *, before: str, after: str) -> str:
    start = next(at for at, letter in enumerate(token) if letter in "'\"`“«")
    detail, prefix = token[start + 1 : -1].strip(), token[:start].lower()
    if _IDENTIFIER.fullmatch(detail) and not _is_random(detail):
        whole_message = not before.strip() and not after.strip()
        if whole_message or _NAMED_BEFORE.search(before) or _NAMED_AFTER.match(after):
            return f"'{detail}'"
    if detail[:1] in {"/", "~"} or re.match(r"[A-Za-z]:[\\/]", detail):
        return _path(detail)
    if re.match(r"[a-z][a-z0-9+.-]{1,20}://\S+$", detail, re.IGNORECASE):
        return _host(detail)
    # A bytes literal in a message is what a server answered.
    if len(detail.split()) >= (2 if "b" in prefix else _PROSE_WORDS):
        return _TOKEN.sub(lambda found: DATA if found.lastgroup == "quoted" else _replace(found, detail), detail)
    extension = _EXTENSION.search(detail)
    return _path(detail) if extension and re.fullmatch(_FILE_KINDS, extension.group(1), re.IGNORECASE) else DATA


def _is_random(token: str) -> bool:
    """Whether a long token looks drawn, not written: digits or base64 signs in it, or its case changes again and again."""
    if re.search(r"[\d+=]", token):
        return True
    if re.fullmatch(r"[a-fA-F]{8,}", token):
        return True
    letters = [letter.isupper() for letter in token if letter.isalpha()]
    changes = sum(one != other for one, other in pairwise(letters))
    # CamelCase and SMTPServerDisconnected change at most once in three letters; random case changes once in two.
    return len(letters) >= 16 and changes * 3 > len(letters)  # noqa: PLR2004
