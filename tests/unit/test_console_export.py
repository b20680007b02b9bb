"""Jobs as a file."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from uuid import UUID

from redrive.dashboards.console.export import as_csv, as_json_lines
from redrive.deployments.jobs.job import Job

JOB = Job(
    id=UUID(int=7),
    name="brave-owl",
    job="sync",
    queue="high",
    state="Completed",
    message='says "no", twice\nand more',
    due=None,
    started=None,
    ended=None,
    seconds=1.5,
    tries=2,
    crashes=0,
    key=None,
    worker=None,
    parameters={"path": "a,b.csv"},
    status="completed",
)


def test_csv_reads_back_as_it_was():
    (row,) = csv.DictReader(io.StringIO("".join(as_csv([JOB]))))

    assert row["message"] == JOB.message
    assert json.loads(row["parameters"]) == JOB.parameters
    assert (row["seconds"], row["due"]) == ("1.5", "")


def test_no_cell_is_a_formula_to_a_spreadsheet():
    (row,) = csv.DictReader(io.StringIO("".join(as_csv([replace(JOB, message="=HYPERLINK(1)")]))))

    assert row["message"] == "'=HYPERLINK(1)"


def test_each_line_of_json_is_one_job():
    lines = list(as_json_lines([JOB, JOB]))

    assert [json.loads(line)["id"] for line in lines] == [str(JOB.id)] * 2
