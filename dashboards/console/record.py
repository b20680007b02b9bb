"""Writing down what somebody does on a page, whatever comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redrive.dashboards.console.access.guard import Form, one
from redrive.dashboards.console.parts import Parts
from redrive.deployments.people.actor import Actor, Doing
from redrive.deployments.people.person import Person


def acting(the: Parts, person: Person, form: Form | None = None) -> Actor:
    """The person, with the reason that the form gives."""
    return Actor(record=the.people, who=person.name, why=one(form, "why") if form else "")


@contextmanager
def written_down(the: Parts, by: Actor, *, what: str, about: str) -> Iterator[Doing]:
    """Write down an act that is done in this block. What is shared is read anew after it."""
    try:
        with by.doing(what, about) as act:
            yield act
    finally:
        the.forget()
