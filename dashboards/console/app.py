"""The application: the guard before everything, the pages, and the poller that lives as long as it does."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.settings import Settings
from redrive.dashboards.console.access.guard import NotSignedIn, Refused, guard
from redrive.dashboards.console.access.headers import Secured
from redrive.dashboards.console.access.pace import SignInPace
from redrive.dashboards.console.access.proxy import ProxyPeople
from redrive.dashboards.console.access.session import Sessions
from redrive.dashboards.console.answers import failed, on_error
from redrive.dashboards.console.live.logs import Logs
from redrive.dashboards.console.live.memo import Memo
from redrive.dashboards.console.live.outage import Outages
from redrive.dashboards.console.live.poller import Poller
from redrive.dashboards.console.live.refresher import Refresher
from redrive.dashboards.console.live.stream import Streams
from redrive.dashboards.console.live.visit import LiveAnswers, NotYet, Visit
from redrive.dashboards.console.pages import (
    acts,
    audit,
    edit,
    failures,
    job,
    job_types,
    jobs,
    many_jobs,
    overview,
    runbooks,
    schedules,
    sign_in,
    slow,
)
from redrive.dashboards.console.parts import Memos, Parts
from redrive.dashboards.console.shown import HERE
from redrive.deployments.dead_letters.bulk_runner import BulkRunner
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.people.people import People

log = logging.getLogger("redrive.console")

PAGES = (sign_in, overview, slow, jobs, many_jobs, edit, job, failures, acts, audit, schedules, job_types, runbooks)


def make_app(settings: Settings) -> Starlette:
    """The console of one installation."""
    ledger, people = Ledger(settings.ledger_url()), People(settings.ledger_url())
    refresher = Refresher()
    memos = Memos(ledger=Memo(), history=Memo(), api=Memo(lasting=["job types"]))
    poller = Poller(settings, ledger, people, refresher)
    poller.on_missing = memos.missing
    streams, logs, bulk = Streams(poller), Logs(refresher), BulkRunner(ledger)

    @asynccontextmanager
    async def alive(_: Starlette) -> AsyncIterator[None]:
        bulk.start()
        with refresher.running():
            yield
        bulk.stop()
        poller.close()
        ledger.close()
        people.close()

    app = FastAPI(dependencies=[Depends(guard)], openapi_url=None, docs_url=None, redoc_url=None)
    app.state.parts = Parts(
        settings=settings,
        ledger=ledger,
        people=people,
        poller=poller,
        streams=streams,
        logs=logs,
        bulk=bulk,
        pace=SignInPace(),
        refresher=refresher,
        memos=memos,
        memo=Visit(memos.ledger),
        history=Visit(memos.history),
        live=LiveAnswers(memos.api, refresher),
        api=Visit(memos.api),
        visit=Visit(memos.api),
        outages=Outages(),
    )
    app.state.sessions = Sessions(people)
    app.state.proxied = ProxyPeople(people, settings.console_proxies, settings.console_user_header)
    for kind in (RedriveError, NotSignedIn, Refused):
        app.add_exception_handler(kind, on_error)
    app.add_exception_handler(NotYet, _not_yet)
    app.add_exception_handler(404, _not_there)
    app.add_exception_handler(405, _not_there)
    app.add_exception_handler(500, _broken)
    for one in PAGES:
        app.include_router(one.router)
    app.add_api_route("/alive", _health, methods=["GET"])
    static = StaticFiles(directory=HERE / "static")
    outer = Starlette(routes=[Mount("/static", static), Mount("/", app)], lifespan=alive)
    outer.state.streams = (streams, logs)
    outer.add_middleware(Secured)
    return outer


async def _health() -> Response:
    return PlainTextResponse("ok\n")


async def _not_yet(_: Request, __: Exception) -> Response:
    """The page stays as it is, and asks again."""
    return Response(status_code=204)


async def _not_there(request: Request, _: Exception) -> Response:
    with suppress(NotSignedIn, Refused, RedriveError):
        # No route, so nobody asked yet who it is: whoever is signed in keeps the side bar.
        await guard(request)
    return failed(request, 404, "There is no such page.", "Not found")


async def _broken(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return failed(request, 500, "That is a fault of the console itself; its log says more.", "That did not work")
