"""All dashboards, in the order one reads them."""

from __future__ import annotations

from redrive.dashboards.grafana import dead_letters, one_job_type, one_queue, overview, stack_parts
from redrive.dashboards.grafana.page import Page

PAGES: tuple[Page, ...] = (overview.PAGE, one_queue.PAGE, one_job_type.PAGE, dead_letters.PAGE, stack_parts.PAGE)
