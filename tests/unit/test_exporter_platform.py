"""The exporter's look at what jobs run on, while all of it is away. That it sees what is there, the dashboards' test shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from redrive.blocks.core.settings import Settings
from redrive.dashboards.exporter.platform import Platform
from tests.support.stack import free_ports


@pytest.fixture
def nothing(tmp_path: Path) -> CollectorRegistry:
    """The figures of a stack whose every part is away."""
    ports = free_ports("prefect", "postgres", "redis")
    settings = Settings.load(
        {
            "REDRIVE_HOME": str(tmp_path),
            "PREFECT_API_URL": f"http://ada:secret@127.0.0.1:{ports['prefect']}/api",
            "REDRIVE_DATABASE_URL": f"postgresql://ada:secret@127.0.0.1:{ports['postgres']}/redrive",
            "REDRIVE_REDIS_URL": f"redis://:secret@127.0.0.1:{ports['redis']}",
        }
    )
    platform = Platform(settings)
    registry = CollectorRegistry()
    registry.register(platform)
    platform.sample()
    return registry


@pytest.mark.parametrize("part", ["prefect", "postgres", "redis"])
def test_part_that_is_unavailable_is_down_and_has_no_figures(part: str, nothing: CollectorRegistry) -> None:
    assert nothing.get_sample_value("redrive_platform_up", {"part": part}) == 0
    assert nothing.get_sample_value("redrive_platform_answer_seconds", {"part": part}) is None


def test_no_password_is_reported(nothing: CollectorRegistry) -> None:
    told = str([sample for metric in nothing.collect() for sample in metric.samples])

    assert "prefect_ui" in told
    assert "secret" not in told
