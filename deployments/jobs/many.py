"""One act on many jobs, some at once: each takes several calls, one after another.

Danger: what was done stays done; a stop ends after the jobs at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from uuid import UUID

from redrive.blocks.core.errors import Conflict, NotFound
from redrive.blocks.prefect.run import Run

#: How many are acted on at once.
AT_ONCE = 6


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of them: `done` of `matched`; `refused` are (job, why); `stopped` if it was told to before the end."""

    matched: int
    done: int
    refused: tuple[tuple[UUID, str], ...] = ()
    stopped: bool = False


def each(found: Sequence[Run], act: Callable[[UUID], object], *, progress: Callable[[int, int], bool]) -> Done:
    """Do it to each of them.

    Args:
        act: raises Conflict or NotFound where somebody was quicker; the others are not concerned.
        progress: called with (how many, of how many) after each; stops when it returns False.

    Raises:
        RedriveError: what concerns all of them, such as an API that is gone; what was begun is brought to its end.
    """
    count, refused, go_on = 0, [], True
    waiting = list(reversed(found))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        under_way: dict[Future[object], UUID] = {}
        try:
            while under_way or (waiting and go_on):
                while waiting and go_on and len(under_way) < AT_ONCE:
                    run = waiting.pop()
                    under_way[pool.submit(act, run.id)] = run.id
                for finished in wait(under_way, return_when=FIRST_COMPLETED).done:
                    job_id = under_way.pop(finished)
                    try:
                        finished.result()
                        count += 1
                    except (Conflict, NotFound) as error:
                        refused.append((job_id, str(error)))
                    go_on = progress(count + len(refused), len(found)) and go_on
        finally:
            for one in under_way:
                one.cancel()
    return Done(matched=len(found), done=count, refused=tuple(refused), stopped=bool(waiting))
