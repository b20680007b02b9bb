"""Testing jobs of one's own: `with redrive.testing.inline() as jobs: ...` runs what is asked for at once, without a server."""

from __future__ import annotations

from redrive.flows.engine.inline import InlineJobs, inline
from redrive.flows.engine.inline_job import InlineJob

__all__ = ["InlineJob", "InlineJobs", "inline"]
