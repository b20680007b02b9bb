"""The guard before every page, fragment, stream and act: a session, the right, and a request that came from our own page.

It stands before the whole application, not on each page, so that a page that is added later is guarded too; what is open is a short
list here.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from redrive.dashboards.console.access.proxy import ProxyPeople
from redrive.dashboards.console.access.session import COOKIE, SECURE_COOKIE, Session, Sessions
from redrive.deployments.people.person import Person, Role

#: What anybody may ask for. Static files are served beside the application.
OPEN: Final = frozenset({"/sign-in", "/sign-in/link", "/alive"})
#: Methods that change nothing.
READING: Final = frozenset({"GET", "HEAD"})
#: Bytes of a form: parameters of a job may be long, and nothing longer than this is one.
FORM_LIMIT: Final = 2_000_000

Form = dict[str, list[str]]


class NotSignedIn(Exception):  # noqa: N818  (a question, not a fault)
    """Nobody is signed in: they are asked to, and come back."""


class Refused(Exception):  # noqa: N818  (an answer: 403)
    """A request that may not do what it asks; the message is for people."""


async def guard(request: Request) -> None:
    """Let a request through, or not.

    Raises:
        NotSignedIn, Refused.
    """
    request.state.session = None
    request.state.form = {}
    if request.method not in READING:
        _check_origin(request)
        request.state.form = await _form(request)
    sessions: Sessions = request.app.state.sessions
    token = request.cookies.get(SECURE_COOKIE) or request.cookies.get(COOKIE)
    proxied: ProxyPeople = request.app.state.proxied
    is_open = request.url.path in OPEN
    found = await run_in_threadpool(proxied.find, request) if proxied.is_asked(request) else None
    if found is None and token:
        found = sessions.believed(token) or await run_in_threadpool(sessions.find, token)
    request.state.session = found
    if is_open:
        return
    if found is None:
        raise NotSignedIn
    if request.method not in READING:
        _check_csrf(request, found)


def signed_in(request: Request) -> Session:
    """The session of a request that passed the guard."""
    session: Session = request.state.session
    return session


def person_who(role: Role) -> object:
    """The person, who must have this role at least."""

    async def checked(request: Request) -> Person:
        person = signed_in(request).person
        if not person.may(role):
            raise Refused(f"this takes the role {role}; {person.name} is {person.role}")
        return person

    return Depends(checked)


Viewer = Annotated[Person, person_who("viewer")]
Operator = Annotated[Person, person_who("operator")]
Editor = Annotated[Person, person_who("editor")]


async def form_of(request: Request) -> Form:
    """The fields of the form that was sent."""
    form: Form = request.state.form
    return form


Fields = Annotated[Form, Depends(form_of)]


def one(form: Form, name: str, default: str = "") -> str:
    """The last value of a field, without spaces around it."""
    return (form.get(name) or [default])[-1].strip()


def _check_origin(request: Request) -> None:
    """Browsers say where a form comes from; what does not is no browser, and needs the token all the same."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        raise Refused("this form came from another site")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Refused("this form came from another site")


def _check_csrf(request: Request, session: Session) -> None:
    given = request.headers.get("x-csrf-token") or one(request.state.form, "csrf")
    if not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise Refused("this form is of another session: load the page again")


async def _form(request: Request) -> Form:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        if int(request.headers.get("content-length") or 0):
            raise Refused("forms come as application/x-www-form-urlencoded")
        return {}
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > FORM_LIMIT:
            raise Refused(f"a form of more than {FORM_LIMIT:,} bytes is not read")
    fields: Form = {}
    for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
        fields.setdefault(name, []).append(value)
    return fields
