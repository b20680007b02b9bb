"""A document that could not be read this time, through no fault of its own as far as is known."""

from __future__ import annotations

from redrive.blocks.core.errors import RedriveError


class ReadingStopped(RedriveError):  # noqa: N818  (reads as what happened, as in blocks/core/errors.py)
    """A document could not be read this time."""


class ReadingTimedOut(ReadingStopped):
    """Its time was over."""
