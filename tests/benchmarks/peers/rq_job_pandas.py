"""The job of `rq_job`, in a module that imports pandas; runs in RQ's own environment."""

from __future__ import annotations

import pandas as pd
import rq_job  # type: ignore[import-not-found]  # beside this file, which is how RQ finds it


def one_task(number: int = 1, told: str = "") -> int:
    """The same work as tests/support/bench_flows_pandas.py."""
    return int(pd.Series([rq_job.one_task(number, told)]).iloc[0])
