"""The names of our two work pools."""

from __future__ import annotations

from typing import Final

#: The company's jobs.
POOL: Final = "jobs"
#: Housekeeping: its runs are rescued, never counted, and never enter the ledger.
OPS: Final = "ops"
