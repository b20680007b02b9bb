"""Asking the server's own calls, where it has them."""

from __future__ import annotations

from typing import TypeVar

from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.request import Request
from redrive.blocks.prefect.requests import fast

T = TypeVar("T")


def ask_fast(request: Request[T | None]) -> T | None:
    """What the server's own call answers; None if it has none, or leaves this to Prefect's.

    Raises:
        httpx.HTTPError: as `ask`.
    """
    if not settings().fast_server or not fast.may_be_there():
        return None
    with fast.UnlessAbsent():
        return ask(request)
    return None
