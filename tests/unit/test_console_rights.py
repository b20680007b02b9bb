"""Every act of the console takes the right to act, whichever page it is on."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from redrive.dashboards.console.access.guard import OPEN, READING
from redrive.dashboards.console.app import PAGES

#: What somebody may do for themselves: sign out, and choose how pages look.
OWN = {"/sign-out", "/theme"}
ACTS = [
    route
    for page in PAGES
    for route in page.router.routes
    if isinstance(route, APIRoute) and not route.methods <= READING and route.path not in OPEN | OWN
]


def roles(dependant: Dependant) -> Iterator[str]:
    for one in dependant.dependencies:
        if one.call is not None and "role" in (held := inspect.getclosurevars(one.call).nonlocals):
            yield str(held["role"])
        yield from roles(one)


@pytest.mark.parametrize("route", ACTS, ids=lambda route: route.path)
def test_act_takes_an_operator_or_an_editor(route: APIRoute) -> None:
    assert set(roles(route.dependant)) & {"operator", "editor"}


def test_acts_are_those_of_many_pages() -> None:
    assert len(ACTS) > 15
