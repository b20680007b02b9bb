"""How values read on a page: ages, spans, numbers, short ids; and the page itself, from its template."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from redrive.blocks.core.masking import mask_text
from redrive.dashboards.console.access.session import Session
from redrive.dashboards.console.sparkline import sparkline
from redrive.dashboards.console.traceback import parts

HERE: Final = Path(__file__).parent
MINUTE, HOUR, DAY = 60, 3600, 86400
#: The cookie by which an act tells the page that comes after it what was done.
SAID: Final = "said"

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
    """The templates; whatever they show is escaped, and a name that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "span": span,
        "ago": ago,
        "until": until,
        "since": since,
        "number": number,
        "short": short,
        "size": size,
        "when": when,
        "as_json": as_json,
        "query": urlencode,
        "commands": commands,
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


def render(name: str, **values: Any) -> str:
    """A template as text."""
    return environment().get_template(name).render(**values)


def page(request: Request, template: str, *, code: int = 200, **values: Any) -> HTMLResponse:
    """A page for whoever asked."""
    session: Session | None = getattr(request.state, "session", None)
    theme = request.cookies.get("theme", "")
    text = render(
        template,
        session=session,
        person=session.person if session else None,
        theme=theme if theme in {"dark", "light"} else "",
        path=request.url.path,
        said_before=_said_before(request),
        open_failures=lambda: _open_failures(request),
        # Why a page that stays open cannot be read anew, if that is so.
        unread=request.app.state.parts.refresher.said,
        **{"now": datetime.now(UTC), **values},
    )
    answer = HTMLResponse(text, status_code=code)
    if SAID in request.cookies:
        answer.delete_cookie(SAID, path="/", httponly=True, samesite="lax")
    return answer


def _said_before(request: Request) -> tuple[str, str | None] | None:
    """What the act before this page said, and where more is told."""
    try:
        said, to = json.loads(unquote(request.cookies.get(SAID, "")))
    except (ValueError, TypeError):
        return None
    inside = isinstance(to, str) and to.startswith("/") and not to.startswith("//")
    return str(said), to if inside else None


def _open_failures(request: Request) -> Markup:
    """How many failures are open, as the poller last saw; nothing where that is none or not known."""
    books = request.app.state.parts.poller.picture.books
    if books is None or not books.open:
        return Markup("")
    return Markup('<span class="count" aria-label="{} open">{}</span>').format(number(books.open), compact(books.open))


def span(value: timedelta | float | None) -> str:
    """A time as people say it: `0.4 s`, `12 s`, `3 m 20 s`, `2 h 5 m`, `3 d 4 h`."""
    if value is None:
        return "–"
    seconds = max(0.0, value.total_seconds() if isinstance(value, timedelta) else float(value))
    if seconds < 10:  # noqa: PLR2004  (below it a tenth is worth telling, and below a tenth nobody thinks in seconds)
        if 0 < seconds < 0.1:  # noqa: PLR2004  (as above)
            return f"{seconds * 1000:.0f} ms"
        return f"{seconds:.2g} s" if seconds < 1 or seconds.is_integer() else f"{seconds:.1f} s"
    return _long(int(seconds))


def _long(whole: int) -> str:
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return _both(whole // MINUTE, "m", whole % MINUTE if whole < 10 * MINUTE else 0, "s")
    if whole < DAY:
        return _both(whole // HOUR, "h", whole % HOUR // MINUTE, "m")
    return _both(whole // DAY, "d", whole % DAY // HOUR if whole < 10 * DAY else 0, "h")


def _both(many: int, unit: str, rest: int, less: str) -> str:
    return f"{many:,} {unit} {rest} {less}" if rest else f"{many:,} {unit}"


def ago(at: datetime | None) -> Markup:
    """How long ago something was; the page counts on."""
    if at is None:
        return Markup("–")
    said = span(datetime.now(UTC) - at)
    exact = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}" data-ago>{} ago</time>').format(
        exact.isoformat(), f"{exact:%Y-%m-%d %H:%M:%S} UTC", said
    )


def until(at: datetime | None) -> Markup:
    """How long it is until then; the page counts down."""
    if at is None:
        return Markup("–")
    left = at - datetime.now(UTC)
    said = f"in {span(left)}" if left > timedelta(0) else "now"
    exact = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}" data-until>{}</time>').format(
        exact.isoformat(), f"{exact:%Y-%m-%d %H:%M:%S} UTC", said
    )


def since(text: str) -> Markup:
    """How long something has gone on, from its time as a worker reports it; the page counts on."""
    said = span(datetime.now(UTC) - datetime.fromisoformat(text))
    return Markup('<time datetime="{}" data-since>{}</time>').format(text, said)


def when(at: datetime | None) -> Markup:
    """A time to the second."""
    if at is None:
        return Markup("–")
    exact = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(exact.isoformat(), f"{exact:%Y-%m-%d %H:%M:%S}")


def commands(text: str) -> Markup:
    """A sentence of ours with what stands between backticks as code."""
    parts = text.split("`")
    shown = (Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts))
    return Markup("").join(shown)


def number(value: float | None) -> str:
    """A number with its thousands apart."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:,.1f}"  # noqa: PLR2004


def size(value: float | None) -> str:
    """Bytes as people say them: `812 KB`, `96 MB`, `1.4 GB`."""
    if value is None:
        return "–"
    for unit, least in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if value >= least:
            whole = value / least
            return f"{whole:.1f} {unit}" if whole < 10 and unit == "GB" else f"{whole:,.0f} {unit}"  # noqa: PLR2004  (below it a tenth is much)
    return f"{value:.0f} B"


def compact(value: int) -> str:
    """A number in four characters: `812`, `9.9k`, `28k`, `1.2M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            whole = value / size
            return f"{whole:.1f}{unit}" if whole < 10 else f"{whole:.0f}{unit}"  # noqa: PLR2004  (below it a tenth has room)
    return str(value)


def short(value: object) -> str:
    """The beginning of an id, as the command line takes it."""
    return str(value)[:8]


def as_json(value: object) -> str:
    """A value as people read JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def with_query(path: str, values: Mapping[str, object]) -> str:
    """An address with what is not empty of these."""
    asked = {name: str(value) for name, value in values.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(asked)}" if asked else path


_ICONS: Final = {
    "overview": '<path d="M3 12l4-4 3 3 7-7"/><path d="M13 4h4v4"/><path d="M3 16h14"/>',
    "jobs": '<path d="M4 5h12M4 10h12M4 15h8"/>',
    "failures": '<path d="M10 3l7.5 13h-15z"/><path d="M10 8v4M10 14.2v.1"/>',
    "slow": '<path d="M3.5 14.5a7 7 0 1 1 13 0"/><path d="M10 13.5l3.2-4.4"/><circle cx="10" cy="13.8" r="1"/>',
    "acts": '<path d="M4 4h5v5H4zM11 4h5v5h-5zM4 11h5v5H4z"/><path d="M11 13.5l2 2 3.5-4"/>',
    "schedules": '<circle cx="10" cy="10" r="7"/><path d="M10 6v4l3 2"/>',
    "types": '<path d="M10 2.5l6.5 3.7v7.6L10 17.5l-6.5-3.7V6.2z"/><path d="M10 10l6.5-3.8M10 10v7.5M10 10L3.5 6.2"/>',
    "audit": '<path d="M5 3h7l3 3v11H5z"/><path d="M8 9h4M8 12h4"/>',
    "pause": '<path d="M7 5v10M13 5v10"/>',
    "play": '<path d="M6 4l10 6-10 6z"/>',
    "retry": '<path d="M16 10a6 6 0 1 1-2-4.5"/><path d="M16 2.5V6h-3.5"/>',
    "search": '<circle cx="9" cy="9" r="5"/><path d="M13 13l4 4"/>',
    "theme": '<circle cx="10" cy="10" r="6.5"/><path d="M10 3.5a6.5 6.5 0 0 1 0 13z" fill="currentColor"/>',
    "out": '<path d="M8 4H4v12h4M12 7l3 3-3 3M15 10H8"/>',
    "link": '<path d="M8 4H4v12h12v-4M11 3h6v6M17 3l-8 8"/>',
}


def icon(name: str) -> Markup:
    """One of our drawings."""
    return Markup(  # noqa: S704  (our own constants)
        '<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor" '
        f'stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round">{_ICONS[name]}</svg>'
    )
