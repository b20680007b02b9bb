"""Signing in: by a link that works once, or by name and password; and signing out."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from redrive.blocks.core.counted import counted
from redrive.dashboards.console.access.guard import Fields, one, signed_in
from redrive.dashboards.console.access.pace import ADDRESS
from redrive.dashboards.console.access.session import COOKIE, SECURE_COOKIE, Session
from redrive.dashboards.console.answers import inner
from redrive.dashboards.console.parts import The
from redrive.dashboards.console.shown import page
from redrive.deployments.people.people import SESSION

router = APIRouter()

WRONG: Final = "That name and password do not belong together."
USED: Final = "This link was used or is too old. `redrive console link` prints a new one."


@router.get("/sign-in")
def form(request: Request, next: str = "/") -> Response:  # noqa: A002  (the name in the address)
    if request.state.session is not None:
        return RedirectResponse(inner(next), status_code=303)
    return page(request, "sign_in.html", said="", next=inner(next), given="")


@router.get("/sign-in/link")
def by_link(request: Request, the: The, token: str = "") -> Response:
    if request.state.session is not None:
        # Reloaded, or pressed again in the terminal: whoever is in stays in.
        return RedirectResponse("/", status_code=303)
    person = the.people.redeem(token)
    if person is None:
        return page(request, "sign_in.html", code=403, said=USED, next="/", given="")
    session = request.app.state.sessions.begin(person, by_link=True)
    the.people.record(who=person.name, what="signed in", about="console", outcome="by a link")
    return _welcomed(request, session, "/")


@router.post("/sign-in")
def by_password(request: Request, form: Fields, the: The) -> Response:
    name, go = one(form, "name"), inner(one(form, "next", "/"))
    keys = (f"{ADDRESS}{request.client.host if request.client else ''}", f"as {name.lower()}")
    if wait := the.pace.wait(*keys):
        message = f"Too many failures: try again in {counted(int(wait // 60) + 1, 'minute')}."
        return page(request, "sign_in.html", code=429, said=message, next=go, given=name)
    # Counted before it is known: attempts side by side are attempts too.
    the.pace.failed(*keys)
    person = the.people.with_password(name, (form.get("password") or [""])[-1])
    if person is None:
        return page(request, "sign_in.html", code=403, said=WRONG, next=go, given=name)
    the.pace.forgive(*keys)
    session = request.app.state.sessions.begin(person, by_link=False)
    the.people.record(who=person.name, what="signed in", about="console", outcome="by password")
    return _welcomed(request, session, go)


@router.post("/sign-out")
def out(request: Request) -> Response:
    request.app.state.sessions.end(signed_in(request))
    answer = RedirectResponse("/sign-in", status_code=303)
    for name in (COOKIE, SECURE_COOKIE):
        answer.delete_cookie(name, path="/", secure=name == SECURE_COOKIE, httponly=True, samesite="lax")
    return answer


@router.post("/theme")
def theme(form: Fields) -> Response:
    chosen = one(form, "theme")
    answer = Response(status_code=204)
    answer.set_cookie("theme", chosen if chosen in {"dark", "light"} else "", max_age=31_536_000, samesite="lax")
    return answer


def _welcomed(request: Request, session: Session, go: str) -> Response:
    answer = RedirectResponse(go, status_code=303)
    secure = request.url.scheme == "https"
    answer.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        session.token,
        max_age=int(SESSION.total_seconds()) * 14,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    return answer
