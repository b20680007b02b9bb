"""Where an attempt comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where an attempt comes from: the queue, when it was due, and the labels of its run as they were before."""

    queue: str = "default"
    due: datetime | None = None
    labels: Mapping[str, Any] | None = None
