"""Reads one document inside the disposable child process: `python -m redrive.flows.document_text.reader IN OUT MIME`.

Writes `text.txt`, `found.json` and the attachments, named by number, into the folder OUT.

Danger: everything here handles hostile input. It runs with the limits of `confine`, without secrets in its environment,
and nothing else of Redrive may import it.
"""

from __future__ import annotations

import ctypes
import email
import email.policy
import json
import os
import resource
import signal
import sys
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import getaddresses, parsedate_to_datetime
from pathlib import Path
from typing import Any

from redrive.flows.document_text import formats

#: A 1,000-page PDF needs some 300 MB; address space counts a library's mappings too.
MEMORY_LIMIT = 2 * 1024**3
#: Seconds of processor time; a 200-page PDF takes 0.3.
CPU_LIMIT = 60
#: Bytes of the largest file the child may write.
FILE_LIMIT = 512 * 1024**2
#: Attachments of one mail; the rest is left out and said.
ATTACHMENTS_LIMIT = 200
#: Characters below which a guess at the language is as often wrong as right.
LANGUAGE_FROM = 200

UNREADABLE = 3
"""Exit code: the document is at fault, and the reason is on stderr."""

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    source, folder, mime = Path(arguments[0]), Path(arguments[1]), arguments[2]
    confine()
    try:
        found = read(source, folder, mime)
    except MemoryError:
        sys.stderr.write(f"needs more than {MEMORY_LIMIT // 1024**2:,} MB of memory")
        return UNREADABLE
    except Exception as error:  # noqa: BLE001  (a parser may raise anything on hostile input, and all of it means the same)
        sys.stderr.write(" ".join(str(error).split())[:400] or type(error).__name__)
        return UNREADABLE
    (folder / "found.json").write_text(json.dumps(found))
    return 0


def confine() -> None:
    """Put this process under its limits, and let it die with its parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, CPU_LIMIT + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)


def read(source: Path, folder: Path, mime: str) -> dict[str, Any]:
    content = source.read_bytes()
    found: dict[str, Any] = {"attachments": []}
    if mime in {formats.TXT, formats.CSV}:
        text = formats.decoded(content)
    elif mime == formats.EML:
        text, found = _mail(content, folder)
    elif mime == formats.HTML:
        text, found = _extracted(formats.decoded(content).encode() if _has_bom(content) else content, mime)
    else:
        text, found = _extracted(content, mime)
    text = text.replace("\r\n", "\n").replace("\x00", "").strip()
    (folder / "text.txt").write_text(text, encoding="utf-8", errors="replace")
    found.setdefault("language", _language(text))
    return {**found, "characters": len(text), "words": len(text.split())}


def _has_bom(content: bytes) -> bool:
    return content[:2] in {b"\xff\xfe", b"\xfe\xff"} or content[:3] == b"\xef\xbb\xbf"


def _extracted(content: bytes, mime: str) -> tuple[str, dict[str, Any]]:
    import kreuzberg  # noqa: PLC0415  (loaded under the limits, and only for what needs it)

    result = kreuzberg.extract_bytes_sync(content, mime, config=_config())
    about: dict[str, Any] = dict(result.metadata)
    authors = about.get("authors") or about.get("author") or []
    return result.content, {
        "title": _line(about.get("title")),
        "authors": [line for name in ([authors] if isinstance(authors, str) else authors) if (line := _line(name))],
        "created": _moment(about.get("created_at")),
        "pages": about.get("page_count") or about.get("sheet_count"),
        "attachments": [],
    }


def _mail(content: bytes, folder: Path) -> tuple[str, dict[str, Any]]:
    message = email.message_from_bytes(content, policy=email.policy.default)
    if not isinstance(message, EmailMessage) or not (
        message.get("From") or message.get("Subject") or message.get("Date")
    ):
        raise ValueError("it has no From, Subject or Date, so it is no mail")
    attachments = []
    parts = [part for part in message.walk() if not part.is_multipart() and _is_attachment(part)]
    for number, part in enumerate(parts[:ATTACHMENTS_LIMIT], 1):
        payload = part.get_payload(decode=True)
        body = payload if isinstance(payload, bytes) else b""
        (folder / f"attachment-{number}").write_bytes(body)
        name = part.get_filename() or f"attachment-{number}"
        attachments.append({"number": number, "name": name, "mime": part.get_content_type(), "size": len(body)})
    lines = [
        f"{name}: {_line(message.get(name))}" for name in ("Subject", "From", "To", "Cc", "Date") if message.get(name)
    ]
    lines += ["", _mail_body(message)]
    lines += (
        ["", "Attachments:", *(f"- {a['name']} ({a['mime']}, {a['size']:,} bytes)" for a in attachments)]
        if attachments
        else []
    )
    sender = [_line(message.get("From"))] if message.get("From") else []
    return "\n".join(lines), {
        "title": _line(message.get("Subject")),
        "authors": [name or address for name, address in getaddresses([s for s in sender if s])],
        "created": _mail_date(message.get("Date")),
        "pages": None,
        "attachments": attachments,
    }


def _is_attachment(part: EmailMessage) -> bool:
    return part.get_filename() is not None or part.get_content_maintype() not in {"text", "multipart", "message"}


def _mail_body(message: EmailMessage) -> str:
    body = message.get_body(preferencelist=("plain", "html"))
    if body is None:
        return ""
    payload = body.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    charset = body.get_content_charset()
    try:
        text = raw.decode(charset) if charset else formats.decoded(raw)
    except (LookupError, UnicodeDecodeError):
        text = formats.decoded(raw)
    return _extracted(text.encode(), formats.HTML)[0] if body.get_content_type() == formats.HTML else text


def _mail_date(value: object) -> str | None:
    try:
        return parsedate_to_datetime(str(value)).isoformat() if value else None
    except ValueError:
        return None


def _moment(value: object) -> str | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _line(value: object) -> str | None:
    return " ".join(str(value).split())[:500] or None if value else None


def _language(text: str) -> str | None:
    """ISO 639-3 code, of texts long enough to tell."""
    if len(text) < LANGUAGE_FROM:
        return None
    import kreuzberg  # noqa: PLC0415  (as above)

    config = _config(language_detection=kreuzberg.LanguageDetectionConfig(enabled=True))
    detected = kreuzberg.extract_bytes_sync(text[:20_000].encode(), formats.TXT, config=config).detected_languages
    return detected[0] if detected else None


def _config(**options: Any) -> Any:
    import kreuzberg  # noqa: PLC0415  (as above)

    # Its stubs lack `disable_ocr`, which keeps an image in a document from starting an OCR model.
    return kreuzberg.ExtractionConfig(disable_ocr=True, use_cache=False, **options)  # type: ignore[call-arg]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
