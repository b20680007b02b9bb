"""The work of `bench_flows`, in a module that imports pandas, as the modules of reports do."""

from __future__ import annotations

import pandas as pd
from prefect import flow

from tests.support.bench_flows import add_one, began


@flow(name="bench-one-task-pandas")
def one_task_pandas(number: int = 1, told: str = "") -> int:
    """Notes when it began, if asked to, and runs its task."""
    began(told)
    return int(pd.Series([add_one(number)]).iloc[0])
