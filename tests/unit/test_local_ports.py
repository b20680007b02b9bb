"""Ports: another one where the usual one is taken, and all clashes at once where a person named them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from redrive.blocks.core.errors import PortTaken
from redrive.blocks.core.settings import Settings
from redrive.infra.local.components.all import components
from redrive.infra.local.ports import choose_ports
from redrive.infra.local.record import Record


@pytest.fixture
def taken() -> Iterator[list[int]]:
    """Three ports somebody listens on."""
    with ExitStack() as held:
        ports = []
        for _ in range(3):
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            one.listen()
            ports.append(one.getsockname()[1])
        yield ports


def remembered(home: Path, ports: list[int]) -> dict[str, str]:
    """An environment whose stack was last started with these ports."""
    before = {"REDRIVE_HOME": str(home)}
    prefect, smtp, metrics = ports
    last = Settings.load(before).model_copy(
        update={"prefect_port": prefect, "smtp_port": smtp, "metrics_port": metrics}
    )
    home.mkdir(exist_ok=True)
    Record.of(last, []).write(last)
    return before


def test_taken_ports_are_replaced_reported_and_remembered(tmp_path: Path, taken: list[int]) -> None:
    environment = remembered(tmp_path, taken)
    said: list[str] = []
    before = Settings.load(environment)

    after = choose_ports(before, components(before), said.append)

    chosen = [after.prefect_port, after.smtp_port, after.metrics_port]
    assert not set(chosen) & set(taken)
    assert len(set(chosen)) == 3
    assert len(said) == 3
    assert f"prefect    port {after.prefect_port}, as {taken[0]} is taken" in said
    Record.of(after, []).write(after)
    assert Settings.load(environment).prefect_port == after.prefect_port


def test_free_ports_stay(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    before = Settings.load({"REDRIVE_HOME": str(tmp_path), "REDRIVE_PREFECT_PORT": str(free)})
    part = next(part for part in components(before) if part.name == "prefect")

    assert choose_ports(before, [part], print) is before


def test_named_ports_that_are_taken_are_refused_all_at_once(tmp_path: Path, taken: list[int]) -> None:
    names = ("REDRIVE_PREFECT_PORT", "REDRIVE_SMTP_PORT", "REDRIVE_METRICS_PORT")
    given = Settings.load(
        {"REDRIVE_HOME": str(tmp_path), **{name: str(port) for name, port in zip(names, taken, strict=True)}}
    )

    with pytest.raises(PortTaken) as refused:
        choose_ports(given, components(given), print)

    for name, port in zip(names, taken, strict=True):
        assert str(port) in str(refused.value)
        assert f"set {name} to a free port" in str(refused.value)
