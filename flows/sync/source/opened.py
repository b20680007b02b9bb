"""Opens the source that a job's parameters name: a file, or an address whose pages are downloaded first."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any

import httpx

from redrive.blocks.access.held_file import held_file
from redrive.blocks.access.http_sources import without_secrets
from redrive.blocks.core.errors import PermanentError
from redrive.flows.sync.source.csv_source import CsvSource
from redrive.flows.sync.source.download import Answer, DownloadBudget, download
from redrive.flows.sync.source.json_source import JsonSource
from redrive.flows.sync.source.limits import Limits
from redrive.flows.sync.source.source import Kind, Readable, Source, check_columns
from redrive.flows.sync.source.sqlite_source import BESIDE, SqliteSource

#: Where services put the address of the next page, beside the list of rows.
_NEXT = ("next", "next_url", "nextLink", "next_link", "@odata.nextLink", "links.next", "links.next.href", "_links.next",
         "_links.next.href", "paging.next", "pagination.next", "pagination.next_url", "meta.next")  # fmt: skip
#: What says that there is more without an address of it.
_MORE = re.compile(
    r"(^|\.)(has_?(more|next)(_?pages?)?|next_?(page|cursor|token|page_?token)|nextPageToken)$", re.IGNORECASE
)
#: One target of a Link header and its parameters.
_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[\w*!#$&+.^`|~-]+\s*(?:=\s*(?:\"[^\"]*\"|[^\s;,\"]*))?)*)")
_LINES = re.compile(r"ndjson|jsonl|json-lines|x-json-stream")


class Unchanged(Exception):  # noqa: N818  (an answer, not an error)
    """The server says that what it answers has not changed."""


@contextmanager
def opened(
    source: str,
    *,
    kind: Kind = "auto",
    source_table: str | None = None,
    encoding: str | None = None,
    limits: Limits | None = None,
    conditions: Mapping[str, str] | None = None,
) -> Iterator[Source]:
    """The source of a path or URL; what had to be downloaded is removed at the end.

    Args:
        encoding: of a CSV file; None: what the server names, else UTF-8.
        conditions: headers like If-None-Match, for an address.

    Raises:
        PermanentError: not there, not allowed, not readable, or not of its kind.
        SourceUnreachable: it may work later.
        FileChanged: somebody wrote to the file meanwhile; found at the end.
        Unchanged: the conditions are met.
    """
    if "://" in source:
        with tempfile.TemporaryDirectory(prefix="redrive-download-") as folder:
            found = _downloaded(
                source, Path(folder), kind, source_table, encoding, limits or Limits(), conditions or {}
            )
            check_columns(found)
            yield found
        return
    with held_file(source, beside=BESIDE) as file:
        with file.open() as start:
            head = start.read(16)
        ending = file.path.suffix
        if kind == "auto":
            json = ending in {".ndjson", ".jsonl", ".json"}
            kind = "sqlite" if head == b"SQLite format 3\x00" else "json" if json else "csv"
        found = _of([file], kind, file.path.name, source_table, encoding, lines=ending in {".ndjson", ".jsonl"})
        check_columns(found)
        yield found
        if kind != "sqlite":  # whose writers and readers wait for each other
            file.check_unchanged()


def _downloaded(
    source: str,
    folder: Path,
    kind: Kind,
    source_table: str | None,
    encoding: str | None,
    limits: Limits,
    conditions: Mapping[str, str],
) -> Source:
    label = without_secrets(source)
    budget = DownloadBudget(limits)
    first = download(source, folder / "1", budget, conditions)
    if first.path is None:
        raise Unchanged
    mime = Message()
    mime["content-type"] = first.headers.get("content-type", "")
    lines = bool(_LINES.search(mime.get_content_type()))
    if kind == "auto":
        kind = "json" if lines or "json" in mime.get_content_type() else "csv"
    if kind == "sqlite":
        return _of([first.path], kind, label, source_table, encoding, lines=False)
    paths, asked, answer = [first.path], {source, first.url}, first
    while following := _next_page(answer, paths[-1], label, lines=lines, json=kind == "json"):
        if following in asked:
            raise PermanentError(
                f"{label}: its pages lead in circles, at last to {without_secrets(following)}: correct the source"
            )
        if len(paths) == limits.pages:
            raise PermanentError(
                f"{label} has more than {limits.pages:,} pages: raise limits.pages, or synchronise it from a file"
            )
        asked.add(following)
        answer = download(_with_login(source, following), folder / str(len(paths) + 1), budget)
        assert answer.path  # noqa: S101  (tells mypy: nothing was asked on condition)
        asked.add(answer.url)
        paths.append(answer.path)
    found = _of(paths, kind, label, source_table, encoding or mime.get_content_charset(), lines=lines)
    if len(paths) == 1:
        found.validators = _validators(first)
    if isinstance(found, JsonSource):
        found.warnings = tuple(found.more_than_sent())
    return found


def _next_page(answer: Answer, path: Path, label: str, *, lines: bool, json: bool) -> str | None:
    """The address of the page after this one.

    Raises:
        PermanentError: there is one, but nobody says where.
    """
    link = _link(answer.headers)
    if link is None and json:
        link = _next_in(JsonSource.shape(path, label, lines=lines).beside, label)
    return str(httpx.URL(answer.url).join(link)) if link else None


def _link(headers: Mapping[str, str]) -> str | None:
    """The target of `rel=next` in a Link header (RFC 8288)."""
    for target, options in _LINK.findall(headers.get("link", "")):
        rel = re.search(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,]*))", options, re.IGNORECASE)
        if rel and "next" in (rel[1] or rel[2] or "").lower().split():
            return str(target)
    return None


def _next_in(beside: Mapping[str, Any], label: str) -> str | None:
    for place in _NEXT:
        value = beside.get(place)
        if isinstance(value, str) and value:
            if "://" in value or value.startswith(("/", "?", "./")):
                return value
            break
        if value not in (None, "", False):
            break
    else:
        if not any(_MORE.search(place) and value not in (None, "", False, 0) for place, value in beside.items()):
            return None
    raise PermanentError(
        f"{label} has a further page, but does not give its address as a Link header or in a field `next`: half of it would be "
        "missing, so nothing was synchronised; ask for all rows at once, or put a service between that does"
    )


def _with_login(source: str, following: str) -> str:
    """A login is for the host it was given with."""
    first, then = httpx.URL(source), httpx.URL(following)
    same = (first.scheme, first.host, first.port) == (then.scheme, then.host, then.port)
    return str(then.copy_with(userinfo=first.userinfo)) if same and first.userinfo and not then.userinfo else following


def _validators(answer: Answer) -> dict[str, str]:
    pairs = (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
    found = {asked: answer.headers[given] for asked, given in pairs if answer.headers.get(given)}
    # RFC 9110, 13.1.3: the date is ignored where there is a tag; some servers do not.
    return {"If-None-Match": found["If-None-Match"]} if "If-None-Match" in found else found


def _of(
    paths: Sequence[Readable], kind: Kind, label: str, source_table: str | None, encoding: str | None, *, lines: bool
) -> Source:
    if kind == "sqlite":
        if not source_table:
            raise PermanentError(f"{label} is an SQLite file: name its table in source_table")
        return SqliteSource(paths[0], label, source_table)
    if source_table:
        raise PermanentError(f"source_table is for SQLite files, and {label} is none: leave it out")
    return JsonSource(paths, label, lines=lines) if kind == "json" else CsvSource(paths, label, encoding)
