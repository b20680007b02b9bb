"""The largest ordinary work of a family, as a job of a running stack under the limits it has by default."""

from __future__ import annotations

import openpyxl
import pytest
from prefect.filesystems import LocalFileSystem

from redrive.blocks.prefect.client import prefect_settings
from redrive.deployments.enqueue import enqueue, wait_for
from tests.support.job_stack import JobStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300), pytest.mark.slow]

REPORT = """
name: many
title: Many rows
source: made for a test
query: select n, 'Customer number ' || n as customer, n * 1.5 as amount, n * 7 as count, 'City ' || n % 50 as city, -n as change
       from generate_series(1, 49000) n
columns: [{name: n}, {name: customer}, {name: amount, decimals: 2}, {name: count}, {name: city}, {name: change}]
"""


def test_report_of_49000_rows_stays_below_its_memory_limit(job_stack: JobStack):
    """The worker kills what exceeds it (2 GB), which would be a dead letter."""
    folder = job_stack.folder("reports")
    (folder / "many.yaml").write_text(REPORT)
    with prefect_settings():
        LocalFileSystem(basepath=str(folder / "store")).save("many", overwrite=True)
    ended = wait_for(enqueue("reports", {"definition": str(folder / "many.yaml"), "store": "many"}).id, timeout=200)
    assert ended.state is not None
    assert ended.state.is_completed(), ended.state
    book = openpyxl.load_workbook(folder / "store" / "many" / "latest" / "many.xlsx", read_only=True)
    assert sum(1 for _ in book["Report"].iter_rows(min_row=5)) == 49_000
    assert "Customer number 49000<" in (folder / "store" / "many" / "latest" / "many.html").read_text()
