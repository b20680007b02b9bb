"""What a decorated function says of itself: its own signature, with annotations that mean something elsewhere too.

Danger: Prefect evaluates annotations given as text (`from __future__ import annotations`) among the names of the function it
holds, which for a wrapper are those of the decorator's module.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any


def take_signature(wrapper: Callable[..., Any], function: Callable[..., Any]) -> None:
    """Give the wrapper the signature and the annotations of the function, evaluated where that was written."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        signature = inspect.signature(function, eval_str=True)
    except NameError:
        # A name that exists for type checkers only; Prefect will say which, and where.
        return
    wrapper.__annotations__ = hints
    wrapper.__signature__ = signature  # type: ignore[attr-defined]  # what inspect.signature looks for first
