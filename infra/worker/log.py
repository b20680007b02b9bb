"""What the parts of a worker log with: a logger, or one with the worker's name on every line as Prefect makes it."""

from __future__ import annotations

import logging

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]
