"""Masking: what people may read of parameters, messages and tracebacks, with the secrets taken out.

Danger: the ledger stores values raw (a redrive needs them), so whoever shows a value to a person must mask it first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"

#: Deeper nesting than this is shown as `...`: JSON of our jobs is shallow, and a hostile one must not end the reader.
DEPTH_LIMIT = 50

#: A text longer than this many characters is cut before it is shown: it bounds the time a reader waits.
TEXT_LIMIT = 1_000_000

_NAMING_WORDS = (
    r"pass(?:word|wd|phrase|code)?|pwd|secrets?|tokens?|api[_-]?keys?|apikeys?|access[_-]?keys?|private[_-]?keys?|signing[_-]?keys?"
    r"|encryption[_-]?keys?|auth|authorization|credentials?|creds|cookies?|set[_-]?cookie|session[_-]?ids?|dsn|bearer|jwt|otp|pin|cvv|cvc"
    r"|connection[_-]?strings?|sas[_-]?url|webhook[_-]?url"
)
# A secret word must be a word of the name: `smtp_password`, `accessToken` and `X-Api-Key` are, `compass` and `author` are not.
_NAME = re.compile(
    rf"(?:^|[_\-.\s])(?:{_NAMING_WORDS})(?:$|[_\-.\s]\d*$|\d+$|[_-](?:value|hash|raw|plain|header|id)$)", re.IGNORECASE
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# Names that end in a secret word and hold none: they say where a secret is, or count something.
_HARMLESS = re.compile(
    r"(?:^|_)(?:max|min|num|n|total|prompt|completion|input|output|count|idempotency)_tokens?$", re.IGNORECASE
)

_KEYED = re.compile(
    rf"""(?P<name>(?<![A-Za-z0-9])(?:[A-Za-z0-9]{{1,40}}[_-]){{0,6}}(?:{_NAMING_WORDS}))(?P<close>\\?["']?\]?)
    (?P<gap>[ \t]{{0,4}}(?:=|:|=>)[ \t]{{0,4}}(?:SecretStr\()?)
    (?P<value>\\?[bru]?"(?:[^"\\\n]|\\.){{0,8000}}"?|\\?[bru]?'(?:[^'\\\n]|\\.){{0,8000}}'?|[^\s,;&)\]}}'"]{{1,8000}})""",
    re.VERBOSE | re.IGNORECASE,
)
_HEADER = re.compile(r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\s{0,4}[:=]\s{0,4})(?!['\"])([^\n'\"]{1,8000})")
_CAMEL_KEYED = re.compile(
    r"""(\b[a-z][A-Za-z0-9]{0,40}(?:Password|Secret|Token|ApiKey|AccessKey|PrivateKey))(["']?[ \t]{0,4}[=:][ \t]{0,4})"""
    r"""("[^"\n]{0,8000}"?|'[^'\n]{0,8000}'?|[^\s,;&)\]}'"]{1,8000})"""
)

_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"-----BEGIN ([A-Z ]{0,30}PRIVATE KEY)-----(?:(?!-----END )[\s\S]){0,20000}(?:-----END [A-Z ]{0,30}-----)?"
        ),
        f"-----BEGIN \\1----- {MASK} -----END \\1-----",
    ),
    (re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]{1,30}://)([^\s:/@'\"<>]{0,200}):([^\s/'\"<>]{1,500})@"), rf"\1\2:{MASK}@"),
    (re.compile(r"(?i)\b(bearer|basic|digest)(\s{1,4})[A-Za-z0-9._~+/=-]{8,8000}"), rf"\1\2{MASK}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,4000}\.[A-Za-z0-9_-]{5,8000}(?:\.[A-Za-z0-9_-]{0,2000})?"), MASK),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), MASK),
    (
        re.compile(
            r"\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255}|glpat-[\w-]{20,64}|xox[abeoprs]-[\w-]{10,255})"
        ),
        MASK,
    ),
    (re.compile(r"\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)[-_][\w-]{10,255}|\bAIza[\w-]{35}|\bpnu_\w{20,64}"), MASK),
    (
        re.compile(
            r"(?i)([?&;](?:[a-z0-9]{1,30}[-_]){0,4}(?:signature|sig|token|key|code|secret|password)=)[^&\s'\"<>]{1,4000}"
        ),
        rf"\1{MASK}",
    ),
)


def mask(value: Any) -> Any:
    """A copy of a JSON-like value in which secrets read `***`; the value itself is not touched.

    What stands under a name such as `password`, `api_key` or `authToken` is masked whole, whatever it is, except `None`,
    empty texts and booleans, which say that nothing is there. Other texts go through `mask_text`.
    """
    return _masked(value, DEPTH_LIMIT)


def mask_text(text: str) -> str:
    """The text with passwords, tokens, keys and credentials in URLs replaced by `***`.

    Finds `password='x'`, `'token': 'x'`, `Authorization: …`, `scheme://user:pw@host`, Bearer and Basic tokens, JWTs, AWS and
    other vendors' keys, private keys in PEM. A secret that nothing marks as one cannot be found.
    """
    if len(text) > TEXT_LIMIT:
        text = f"{text[: TEXT_LIMIT // 2]}\n... cut ...\n{text[-TEXT_LIMIT // 2 :]}"
    for pattern, shown in _IN_TEXT:
        text = pattern.sub(shown, text)
    text = _HEADER.sub(rf"\1\2{MASK}", text)
    text = _CAMEL_KEYED.sub(lambda found: found[1] + found[2] + _hidden(found[3]), text)
    return _KEYED.sub(_keyed, text)


def is_secret_name(name: str) -> bool:
    """Whether a parameter of this name holds a secret."""
    spelled = _CAMEL.sub("_", name)
    return bool(_NAME.search(spelled)) and not _HARMLESS.search(spelled)


def _masked(value: Any, depth: int) -> Any:
    if depth == 0:
        return "..."
    match value:
        case str():
            return mask_text(value)
        case Mapping():
            return {key: _under(key, inner, depth) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_masked(inner, depth - 1) for inner in value]
        case bytes() | bytearray():
            return mask_text(value.decode("utf-8", "replace"))
        case _:
            return value


def _under(key: object, value: Any, depth: int) -> Any:
    if isinstance(key, str) and is_secret_name(key) and not (value is None or value == "" or isinstance(value, bool)):
        return MASK
    return _masked(value, depth - 1)


def _keyed(found: re.Match[str]) -> str:
    value = found["value"]
    if _HARMLESS.search(found["name"]) or value.strip("'\"") in {"", "None", "null", "True", "False", "true", "false"}:
        return found.group()
    return found["name"] + found["close"] + found["gap"] + _hidden(value)


def _hidden(value: str) -> str:
    quote = re.match(r"\\?[bru]?([\"'])", value, re.IGNORECASE)
    if not quote:
        return MASK
    return f"{quote.group()}{MASK}{quote[1] if value.endswith(quote[1]) else ''}"
