"""A source that may be reached later."""

from __future__ import annotations

from redrive.blocks.core.errors import RedriveError


class SourceUnreachable(RedriveError):  # noqa: N818  (reads as what happened, as in blocks/core/errors.py)
    """A source cannot be reached."""
