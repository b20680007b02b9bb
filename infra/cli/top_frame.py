"""What `redrive top` shows, as one frame: head, keeper, queues, workers with their jobs, dead letters."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from redrive.blocks.core.durations import span
from redrive.blocks.core.settings import settings
from redrive.infra.cli.output import ago

if TYPE_CHECKING:
    from redrive.deployments.health.top import Busy, Top, Worker
    from redrive.deployments.queues import QueueState

#: Slots drawn as a bar at most.
BAR = 16
#: Seconds a job waits or a worker is silent until it is shown in the colour of trouble.
LONG_WAIT = 300


def frame(top: Top, *, jobs: int) -> RenderableType:
    """One screen of it, with at most so many lines of jobs."""
    parts: list[RenderableType] = [
        _head(top),
        *_keeper(top),
        Text(""),
        _queues(top),
        Text(""),
        *_workers(top, jobs),
        Text(""),
        *_dead(top),
    ]
    parts += [Text(line, style="bold red") for line in top.over_budget]
    parts += [Text(f"{line}", style="yellow") for line in top.missing]
    return Group(*parts)


def _head(top: Top) -> Text:
    line = Text("redrive top", style="bold")
    line.append(f"  {top.at.astimezone():%H:%M:%S}", style="not bold")
    line.append(f"  {settings().ui_url}", style="not bold dim")
    for pace in top.pace:
        line.append(f"\n{pace.minutes:>3} min   ", style="not bold dim")
        line.append(f"{_rate(pace.done)} done/min", style="not bold green" if pace.done else "not bold dim")
        line.append("   ")
        line.append(f"{_rate(pace.failed)} failed/min", style="bold red" if pace.failed else "not bold dim")
    return line


def _keeper(top: Top) -> Iterator[RenderableType]:
    """One line: that it does its duties, or which it does not; what to do about it, `redrive check` says."""
    if top.keeper is None:
        return
    line = Text.assemble(("keeper   ", "dim"), no_wrap=True, overflow="ellipsis")
    late = top.keeper.late
    if top.keeper.healthy:
        line.append("ok", style="green")
    elif not late:
        line.append("none has ever worked with this ledger: `redrive check`", style="bold red")
    else:
        line.append(f"late: {', '.join(f'{one.title} {span(one.age)}' for one in late)} (`redrive check`)", "bold red")
    yield line


def _rate(value: float) -> str:
    return f"{value:7.1f}" if value < 100 else f"{value:7.0f}"  # noqa: PLR2004  (tenths of hundreds say nothing)


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold dim")
    for heading, justify in columns:
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # Rich's Literal of names
    return table


def _queues(top: Top) -> Table:
    table = _table(
        ("QUEUE", "left"), ("WAITING", "right"), ("OLDEST", "right"), ("RUNNING", "right"), ("RETRYING", "right"),
        ("SCHEDULED", "right"), ("", "left"),
    )  # fmt: skip
    for queue in top.queues:
        table.add_row(
            Text(queue.name, style="bold"),
            _number(queue.waiting),
            _wait(queue, top.at),
            _number(queue.running, style="green"),
            _number(queue.retrying, style="yellow"),
            _number(queue.scheduled),
            _note(queue),
        )
    return table


def _number(value: int, style: str = "") -> Text:
    return Text(f"{value:,}", style=style if value else "dim")


def _wait(queue: QueueState, now: datetime) -> Text:
    if queue.oldest is None:
        return Text("")
    seconds = (now - queue.oldest).total_seconds()
    return Text(span(max(0.0, seconds)), style="bold red" if seconds > LONG_WAIT else "")


def _note(queue: QueueState) -> Text:
    if queue.paused:
        return Text("paused", style="bold yellow")
    return Text(f"limit {queue.limit}" if queue.limit is not None else "", style="dim")


def _workers(top: Top, jobs: int) -> Iterator[RenderableType]:
    if not top.workers:
        yield Text("no worker is online: jobs wait. `redrive up` starts one here.", style="bold red")
        return
    table = _table(
        ("WORKER", "left"), ("SLOTS", "left"), ("JOB", "left"), ("RUN", "left"), ("QUEUE", "left"), ("TRY", "right"),
        ("FOR", "right"),
    )  # fmt: skip
    left = jobs
    for worker in top.workers:
        shown = worker.busy[: max(0, left)]
        left -= max(1, len(shown))
        head = (Text(worker.name, style="bold" if not worker.draining else "bold yellow"), _slots(worker))
        for number, busy in enumerate(shown or [None]):
            table.add_row(*(head if number == 0 else ("", "")), *_busy(busy, top.at))
        if len(worker.busy) > len(shown):
            table.add_row("", "", Text(f"… {len(worker.busy) - len(shown)} more", style="dim"), "", "", "", "")
    yield table


def _slots(worker: Worker) -> Text:
    if worker.slots is None:
        return Text(f"{len(worker.busy)} busy" if worker.busy else "idle", style="" if worker.busy else "dim")
    detail = Text(f"{len(worker.busy)}/{worker.slots} ")
    if worker.slots <= BAR:
        detail.append("■" * len(worker.busy), style="green")
        detail.append("·" * (worker.slots - len(worker.busy)), style="dim")
    if worker.draining:
        detail.append(" draining", style="yellow")
    return detail


def _busy(busy: Busy | None, now: datetime) -> tuple[Text, ...]:
    if busy is None:
        return tuple(Text("") for _ in range(5))
    seconds = max(0.0, (now - busy.since).total_seconds()) if busy.since else None
    return (
        Text(busy.job),
        Text(busy.run_id[:8], style="dim"),
        Text(busy.queue),
        Text("" if busy.attempt is None else str(busy.attempt)),
        Text("" if seconds is None else span(seconds)),
    )


def _dead(top: Top) -> Iterator[RenderableType]:
    if top.dead is None:
        return
    if not top.dead:
        yield Text("no open dead letters", style="green")
        return
    yield Text.assemble(
        (f"{top.open_dead or 0:,}", "bold red"), (f" open dead letter{'' if top.open_dead == 1 else 's'}", "bold")
    )
    # The causes, counts and jobs are shown whole; the error gets what is left of the line.
    owner = (("OWNER", "left"),) if top.owners else ()
    table = _table(("CAUSE", "left"), ("COUNT", "right"), ("JOBS", "left"), *owner, ("LAST", "left"))
    table.add_column("ERROR", no_wrap=True, overflow="ellipsis", ratio=1)
    table.expand = True
    for group in top.dead:
        table.add_row(
            Text(group.fingerprint),
            Text(f"{group.open:,}", style="bold red"),
            Text(", ".join(group.jobs)),
            *(
                Text(", ".join(dict.fromkeys(top.owners[job] for job in group.jobs if job in top.owners)))
                for _ in owner
            ),
            Text(ago(group.last_seen, top.at)),
            Text(f"{group.error_type.rpartition('.')[2]}: {' '.join(group.message.split())}"),
        )
    yield table
    rest = (top.open_dead or 0) - sum(group.open for group in top.dead)
    if rest > 0:
        yield Text(f"… {rest:,} more of other causes: `redrive dead groups`", style="dim")
