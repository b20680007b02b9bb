"""The page itself, from its template, for whoever asked."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from redrive.blocks.core.counted import counted
from redrive.blocks.core.masking import mask_text
from redrive.blocks.core.plain_text import plain_text
from redrive.dashboards.console.access.session import Session
from redrive.dashboards.console.icons import icon
from redrive.dashboards.console.live.outage import Outages
from redrive.dashboards.console.sparkline import sparkline
from redrive.dashboards.console.traceback import parts
from redrive.dashboards.console.values import (
    ago,
    as_json,
    capital,
    commands,
    compact,
    number,
    pace,
    percent,
    short,
    since,
    size,
    span,
    until,
    when,
)

HERE: Final = Path(__file__).parent
#: The cookie by which an act tells the page that comes after it what was done.
NOTICE: Final = "notice"

#: The pages in the side bar: address, name, drawing.
PAGES: Final = (
    ("/", "Overview", "overview"),
    ("/jobs", "Jobs", "jobs"),
    ("/failures", "Failures", "failures"),
    ("/slow", "Slow jobs", "slow"),
    ("/acts", "Bulk acts", "acts"),
    ("/schedules", "Schedules", "schedules"),
    ("/types", "Job types", "types"),
    ("/audit", "Record", "audit"),
)


@cache
def environment() -> Environment:
    """The templates; whatever they show is escaped and steers no page, and a name that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        finalize=_harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # They are those of this release: whether one has changed is not looked for with each page.
        auto_reload=False,
    )
    made.filters |= {
        "span": span,
        "ago": ago,
        "until": until,
        "since": since,
        "number": number,
        "pace": pace,
        "percent": percent,
        "counted": counted,
        "short": short,
        "size": size,
        "when": when,
        "as_json": as_json,
        "query": urlencode,
        "commands": commands,
        "capital": capital,
        "masked": mask_text,
        "traceback_parts": parts,
    }
    made.globals |= {
        "icon": icon,
        "sparkline": sparkline,
        "now_ms": lambda: int(time.time() * 1000),
        "pages": lambda: PAGES,
    }
    return made


def _harmless(value: Any) -> Any:
    """What a template shows, without what reorders or hides text; its own markup as it is."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        # What Python calls printable has no control characters and no bidirectional overrides.
        return value
    return plain_text(value)


def render(name: str, **values: Any) -> str:
    """A template as text."""
    return environment().get_template(name).render(**values)


def page(request: Request, template: str, *, code: int = 200, **values: Any) -> HTMLResponse:
    """A page for whoever asked; `read_at` is when the oldest of what it shows was read."""
    session: Session | None = getattr(request.state, "session", None)
    outages: Outages = getattr(request.state, "outages", None) or Outages()
    theme, now = request.cookies.get("theme", ""), datetime.now(UTC)
    text = render(
        template,
        session=session,
        person=session.person if session else None,
        theme=theme if theme in {"dark", "light"} else "",
        path=request.url.path,
        notice=_notice(request),
        open_failures=lambda: _open_failures(request),
        # Why a page that stays open cannot be read anew, if that is so.
        unread=request.app.state.parts.refresher.said,
        outages=outages.all,
        **{"now": now, "read_at": outages.known or now, **values},
    )
    answer = HTMLResponse(text, status_code=code)
    if NOTICE in request.cookies:
        answer.delete_cookie(NOTICE, path="/", httponly=True, samesite="lax")
    return answer


def _notice(request: Request) -> tuple[str, str | None] | None:
    """What the act before this page said, and where more is told."""
    try:
        message, to = json.loads(unquote(request.cookies.get(NOTICE, "")))
    except (ValueError, TypeError):
        return None
    inside = isinstance(to, str) and to.startswith("/") and not to.startswith("//")
    return str(message), to if inside else None


def _open_failures(request: Request) -> Markup:
    """How many failures are open, as the poller last saw; nothing where that is none or not known."""
    books = request.app.state.parts.poller.picture.books
    if books is None or not books.open:
        return Markup("")
    return Markup('<span class="count" aria-label="{} open">{}</span>').format(number(books.open), compact(books.open))


def with_query(path: str, values: Mapping[str, object]) -> str:
    """An address with what is not empty of these."""
    asked = {name: str(value) for name, value in values.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(asked)}" if asked else path
