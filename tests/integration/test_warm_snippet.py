"""The test of the `warm` worker that tests/README.md shows, run as it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.plain_prefect import PlainPrefect
from tests.support.readme import ROOT, blocks, section

pytestmark = pytest.mark.timeout(900)


def test_a_test_of_the_worker_is_written_as_the_text_says(plain_prefect: PlainPrefect) -> None:
    known: dict[str, Any] = {}
    text = blocks(section("Writing one", ROOT / "tests" / "README.md"), "python")[1]

    exec("from __future__ import annotations\n" + text, known)  # noqa: S102  (what a reader would type)

    written: Callable[[PlainPrefect], None] = known["test_killed_job_crashes"]
    written(plain_prefect)
