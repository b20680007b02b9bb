"""A span that is under way, as the rest of Redrive sees it; and the one that there is while tracing is off."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from redrive.blocks.core.trace_context import TraceContext

Value = str | bool | int | float


class OpenSpan(Protocol):
    """A span under way."""

    @property
    def context(self) -> TraceContext | None:
        """Where it stands; None while tracing is off."""

    def set(self, attributes: Mapping[str, Value | None]) -> None:
        """Add attributes; None is left out."""

    def failed(self, error: BaseException | None = None, *, kind: str = "", message: str = "") -> None:
        """Note that it failed: by an error, or by `kind` with a description that holds no data."""

    def within(self) -> AbstractContextManager[None]:
        """What runs inside is of this span."""

    def end(self) -> None:
        """It is over."""


class Nothing:
    """No span."""

    context: TraceContext | None = None

    def set(self, attributes: Mapping[str, Value | None]) -> None:
        """Nobody asked."""

    def failed(self, error: BaseException | None = None, *, kind: str = "", message: str = "") -> None:
        """Nobody asked."""

    def within(self) -> AbstractContextManager[None]:
        return nullcontext()

    def end(self) -> None:
        """Nobody asked."""


NOTHING = Nothing()
