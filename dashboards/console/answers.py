"""What an act answers: what was done, or why not, said on the page that asked; and the page where there is none."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from redrive.blocks.core.errors import (
    ApiUnavailable,
    Conflict,
    LedgerUnavailable,
    NotFound,
    ParameterError,
    RedisUnavailable,
    RedriveError,
)
from redrive.blocks.core.masking import mask_text
from redrive.dashboards.console.access.guard import NotSignedIn, Refused
from redrive.dashboards.console.live.outage import Outage
from redrive.dashboards.console.parts import LIVE
from redrive.dashboards.console.shown import NOTICE, page, render
from redrive.dashboards.console.values import capital

#: Characters of a sentence that goes into a cookie.
NOTICE_LIMIT: Final = 300
_STATUS: Final[tuple[tuple[type[RedriveError], int], ...]] = (
    (NotFound, 404),
    (Conflict, 409),
    (ParameterError, 422),
)


def is_fragment(request: Request) -> bool:
    """Whether a part of a page asks, which shows the answer itself."""
    return "HX-Request" in request.headers


def done(
    request: Request, message: str, *, go: str | None = None, to: str | None = None, kind: str = "good"
) -> Response:
    """An act was done: say so, and let the page read itself anew, or go on to another one; `to` is where more is told."""
    if not is_fragment(request):
        return _with_notice(RedirectResponse(go or came_from(request), status_code=303), message, to)
    if go is not None:
        return _with_notice(HTMLResponse("", headers={"HX-Redirect": go}), message, to)
    answer = HTMLResponse(render("parts/toast.html", said=message, kind=kind, to=to))
    answer.headers["HX-Reswap"] = "none"
    answer.headers["HX-Trigger"] = "changed"
    return answer


def _with_notice(answer: Response, message: str, to: str | None) -> Response:
    """Let the next page say it."""
    text = quote(json.dumps([message[:NOTICE_LIMIT], to]))
    answer.set_cookie(NOTICE, text, max_age=20, path="/", httponly=True, samesite="lax")
    return answer


def failed(request: Request, status: int, message: str, title: str, *, means: str = "") -> Response:
    """An act or a page that could not be: one sentence, where it was asked for."""
    message = capital(mask_text(message))
    if LIVE in request.headers and status >= 500:  # noqa: PLR2004  (HTTP's own class of server errors)
        # The page stays as it is, and says how old that is and why.
        return Response(status_code=204, headers={"HX-Trigger": json.dumps({"unread": message})})
    if is_fragment(request):
        answer = HTMLResponse(render("parts/toast.html", said=message, kind="bad", to=None), status_code=status)
        answer.headers["HX-Reswap"] = "none"
        if status == 409:  # noqa: PLR2004  (somebody else was quicker: what the page shows is old)
            answer.headers["HX-Trigger"] = "changed"
        return answer
    again = _path(request) if request.method == "GET" else came_from(request)
    return page(request, "error.html", code=status, title=title, said=message, means=means, again=again)


async def on_error(request: Request, error: Exception) -> Response:
    """The answer to one of our errors."""
    match error:
        case NotSignedIn():
            return _sign_in(request)
        case Refused():
            return failed(request, 403, str(error), "Not allowed")
        case ApiUnavailable() | LedgerUnavailable() | RedisUnavailable():
            outage = Outage.of(error)
            return failed(request, 503, str(error), outage.title, means=outage.means)
        case _:
            status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
            titles = {404: "Not found", 409: "Somebody was quicker", 422: "That does not fit"}
            return failed(request, status, str(error), titles.get(status, "That did not work"))


def came_from(request: Request) -> str:
    """The page of ours that a form was on."""
    parts = urlsplit(request.headers.get("referer", ""))
    return inner(f"{parts.path}?{parts.query}" if parts.query else parts.path)


def inner(path: str) -> str:
    """The path if it is one of ours, else the overview: nobody is sent to another site."""
    parts = urlsplit(path)
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if plain and not parts.scheme and not parts.netloc else "/"


def _sign_in(request: Request) -> Response:
    if is_fragment(request) or request.headers.get("accept") == "text/event-stream":
        return HTMLResponse("", status_code=401, headers={"HX-Redirect": "/sign-in"})
    if request.method != "GET":
        return RedirectResponse("/sign-in", status_code=303)
    path = _path(request)
    return RedirectResponse("/sign-in" if path == "/" else f"/sign-in?next={quote(path, safe='')}", status_code=303)


def _path(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
