"""`redrive top`: queues, workers and dead letters on one screen, over ssh as well.

Danger: it shares a terminal with whoever looks: whatever happens, the terminal is given back as it was.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from redrive.blocks.core.errors import ParameterError, RedriveError
from redrive.infra.cli.output import out, print_json
from redrive.infra.cli.top_frame import frame

if TYPE_CHECKING:
    from datetime import datetime

    from redrive.deployments.dead_letters.ledger import Ledger
    from redrive.deployments.health.top import Top

Flag = Annotated[bool, Parameter(negative="")]
Json = Annotated[bool, Parameter(name="--json", negative="")]

#: Shortest pause between two polls, seconds: each costs Prefect some twenty calls.
SHORTEST = 0.5
#: Lines that are no jobs: headings, queues, causes. What is left of the terminal's height is for workers and their jobs.
OTHER_LINES = 20
#: Jobs shown where the height is not known, and the fewest that are shown where it is.
JOBS, FEWEST = 200, 4


def top_command(*, once: Flag = False, as_json: Json = False, every: float = 2.0) -> None:
    """Watch queues, workers and what each does, the pace, and dead letters by cause. `q` or Ctrl-C leaves.

    Args:
        once: Print one frame and end. So it is also where standard output is no terminal.
        as_json: Print one sample as JSON.
        every: Seconds between two samples.
    """
    from redrive.deployments.health.top import Watch

    if every < SHORTEST:
        raise ParameterError(f"--every {every:g} is too often; give {SHORTEST:g} seconds or more")
    watch = Watch(_over_budget)
    try:
        if as_json:
            print_json(watch.sample())
        elif once or not out.is_terminal:
            out.print(frame(watch.sample(), jobs=JOBS))
        else:
            _live(watch.sample, every)
    finally:
        watch.close()


def _over_budget(ledger: Ledger, now: datetime) -> list[str]:
    from redrive.blocks.core.settings import settings
    from redrive.blocks.process.job_figures import JobFigures
    from redrive.dashboards.alerts.breaches import breaches
    from redrive.dashboards.alerts.thresholds import Thresholds

    figures = JobFigures(settings().valkey_url())
    try:
        return [one.said for one in breaches(ledger.counts, Thresholds.read(), now, figures)]
    finally:
        figures.close()


def _live(sample: Callable[[], Top], every: float) -> None:
    last: Top | None = None
    trouble = ""
    with _keys() as pressed, Live(console=out, screen=True, auto_refresh=False) as live:
        while True:
            began = time.monotonic()
            try:
                last, trouble = sample(), ""
            except RedriveError as error:
                # The last frame stays, with a line that says that it is old.
                trouble = str(error)
            live.update(_screen(last, trouble), refresh=True)
            while (left := began + every - time.monotonic()) > 0 or last is None:
                if pressed(max(0.05, left)) in {"q", "Q", "\x1b"}:
                    return
                if left <= 0:
                    break


def _screen(last: Top | None, trouble: str) -> RenderableType:
    shown: list[RenderableType] = []
    if trouble:
        shown.append(Text(trouble, style="bold red"))
    if last is not None:
        shown.append(frame(last, jobs=max(FEWEST, out.height - OTHER_LINES)))
    return Group(*shown)


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """A function that waits up to so many seconds for a key; the terminal echoes none meanwhile."""
    if not sys.stdin.isatty():
        yield _no_key
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def pressed(seconds: float) -> str:
        ready, _, _ = select.select([terminal], [], [], seconds)
        return os.read(terminal, 1).decode(errors="replace") if ready else ""

    try:
        tty.setcbreak(terminal)
        yield pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _no_key(seconds: float) -> str:
    time.sleep(seconds)
    return ""
