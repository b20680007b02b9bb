"""A bar for acts on many, which Ctrl-C ends cleanly after the one at hand."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from redrive.infra.cli.output import err


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int, int], bool]]:
    """A bar on standard error; the function it gives moves it, and says False after Ctrl-C, so that the act ends cleanly."""
    interrupted = False

    def stop(*_: object) -> None:
        nonlocal interrupted
        interrupted = True

    before = signal.signal(signal.SIGINT, stop)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        # Where nobody watches it would leave an empty line before the message.
        with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task(what, total=total)

            def moved(done: int, _of: int) -> bool:
                bar.update(task, completed=done)
                return not interrupted

            yield moved
    finally:
        signal.signal(signal.SIGINT, before)
