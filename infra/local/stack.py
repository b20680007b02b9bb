"""The stack on one machine: start it, stop it.

Danger: whatever state a crash left must be a state `up` can start from. Nothing here trusts a pid file.
"""

from __future__ import annotations

import time

from redrive.blocks.core.counted import counted
from redrive.blocks.core.errors import ComponentFailed, StackError
from redrive.blocks.core.settings import Settings
from redrive.blocks.core.settings import settings as current
from redrive.infra.local.component import Component, Report
from redrive.infra.local.components.all import components
from redrive.infra.local.folders import clear_temporary, make_folders, only_one
from redrive.infra.local.job_modules import check_job_modules
from redrive.infra.local.marks import end_leftovers
from redrive.infra.local.ports import check_ports, choose_ports
from redrive.infra.local.record import Record
from redrive.infra.local.sample_files import copy_samples
from redrive.infra.local.supervisor import UP, Supervisor

#: Seconds between two polls of components that start.
_POLL = 0.1
#: Starts in a row that must fail before `up` stops waiting: one may have met a server that was still stopping.
_HOPELESS = 3


def up(settings: Settings, report: Report) -> None:
    """Start what does not run; return when all of it is healthy.

    Raises:
        StackError: or one of its kinds: what is wrong and what to do.
    """
    began = time.monotonic()
    if settings.tls:
        raise StackError(
            "REDRIVE_TLS is for containers (infra/compose, infra/k8s); the local stack listens on this machine only: unset it"
        )
    check_job_modules(settings)
    make_folders(settings)
    copy_samples(settings)
    with only_one(settings, report):
        running = Supervisor.find(settings)
        if not running and (ended := end_leftovers(settings)):
            report(f"ended {counted(ended, 'process', 'processes')} that a killed supervisor left behind")
        settings = choose_ports(settings, _to_listen(settings, running), report)
        parts = components(settings)
        external = [part for part in parts if part.is_external]
        ours = [part for part in parts if not part.is_external]
        for part in external:
            _check_external(part, report)
        record = Record.of(settings, [part.name for part in external])
        with _supervisor(settings, running, ours, record, report) as supervisor:
            current.cache_clear()  # the ports may be others now: whoever asks reads them from the record
            _start(ours, supervisor, {part.name for part in external}, report)
    report(f"{'stack':<10} ready    {time.monotonic() - began:6.1f} s")


def down(settings: Settings, report: Report) -> None:
    """Stop all of it, in reverse order; keep the data. Does nothing when nothing runs."""
    if not (settings.home / "run").exists():
        report("nothing runs")
        return
    with only_one(settings, report):
        _stop(settings, report)


def _check_external(part: Component, report: Report) -> None:
    if not part.healthy():
        raise StackError(
            f"{part.replaced_by} names a server of yours for {part.name}, and that does not answer: "
            f"start it, or unset {part.replaced_by} to use the embedded one"
        )
    part.settle()
    report(f"{part.name:<10} external")


def _to_listen(settings: Settings, running: Supervisor | None) -> list[Component]:
    """The components of ours that do not have their port yet."""
    states = running.all() if running else {}
    record = Record.find(settings)

    def has_its_port(part: Component) -> bool:
        known = part.name in states and states[part.name].state in UP
        return known and record is not None and getattr(record, part.port_setting) == part.port

    parts = [part for part in components(settings) if part.port is not None and not part.is_external]
    return [part for part in parts if not has_its_port(part)]


def _supervisor(
    settings: Settings, running: Supervisor | None, ours: list[Component], record: Record, report: Report
) -> Supervisor:
    """The running supervisor if it fits the settings, else a new one on ground that is swept."""
    if running:
        states = running.all()
        if Record.find(settings) == record and states.keys() == {part.name for part in ours}:
            return running
        with running:
            report("the settings have changed: starting over")
        _stop(settings, report)
        make_folders(settings)
    check_ports(settings, ours)
    record.write(settings)
    return Supervisor.begin(settings, ours)


def _start(parts: list[Component], supervisor: Supervisor, healthy: set[str], report: Report) -> None:
    """Start each component as soon as what it needs is healthy; several at a time."""
    waiting = list(parts)
    starting: dict[Component, float] = {}
    while waiting or starting:
        for part in [part for part in waiting if healthy.issuperset(part.needs)]:
            waiting.remove(part)
            starting[part] = time.monotonic()
            _begin(part, supervisor, report)
        for part, began in list(starting.items()):
            if part.healthy():
                part.settle()
                del starting[part]
                healthy.add(part.name)
                report(f"{part.name:<10} ready    {time.monotonic() - began:6.1f} s")
            else:
                _give_up_if_hopeless(part, supervisor, time.monotonic() - began)
        time.sleep(_POLL)


def _begin(part: Component, supervisor: Supervisor, report: Report) -> None:
    part.prepare()
    if supervisor.all()[part.name].state not in UP:
        part.forget()
        supervisor.start(part.name)
    part.meanwhile(report)


def _give_up_if_hopeless(part: Component, supervisor: Supervisor, seconds: float) -> None:
    exited = supervisor.all()[part.name].state not in UP
    if exited and part.starts >= _HOPELESS:
        what = "exits again and again"
    elif seconds > part.start_timeout:
        what = f"is not healthy after {seconds:.0f} s"
    else:
        return
    raise ComponentFailed(
        f"{part.name} {what}: {part.failure or 'it does not say why'} (its log: {part.log})",
        component=part.name,
        log=part.log,
    )


def _stop(settings: Settings, report: Report) -> None:
    supervisor = Supervisor.find(settings)
    if supervisor:
        with supervisor:
            running = supervisor.all()
            for part in reversed(components(settings)):
                if part.name in running:
                    began = time.monotonic()
                    supervisor.stop(part.name)
                    report(f"{part.name:<10} stopped  {time.monotonic() - began:6.1f} s")
            supervisor.end()
    left = end_leftovers(settings)
    clear_temporary(settings)
    if left:
        report(f"ended {counted(left, 'process', 'processes')} left over")
    elif not supervisor:
        report("nothing runs")
