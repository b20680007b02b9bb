"""The runbooks of the alerts, as the folder of the alerts has them."""

from __future__ import annotations

import re
from functools import cache

from fastapi import APIRouter
from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from redrive.dashboards.alerts.runbook import FILE
from redrive.dashboards.console.shown import page

router = APIRouter()


@router.get("/runbooks")
def runbooks(request: Request) -> Response:
    return page(request, "runbooks.html", text=_text())


@cache
def _text() -> Markup:
    made = MarkdownIt("commonmark", {"html": False}).render(FILE.read_text().partition("\n")[2])
    # Each alert's section is where a link of that name leads.
    return Markup(re.sub(r"<h2>(\w+)</h2>", lambda found: f'<h2 id="{found[1].lower()}">{found[1]}</h2>', made))  # noqa: S704  (our own file, no HTML in it)
