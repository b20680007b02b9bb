"""What a process loads once and keeps is kept out of the garbage collector's rounds.

A full round looks at every object there is. Prefect's server has millions before its first request, and stood still for 0.35 s
every five seconds while jobs ran (measured on two cores, 2026-11-30); a process that is forked would copy what the round touches.
Source: https://docs.python.org/3/library/gc.html#gc.freeze
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def freeze_loaded() -> None:
    """Collect what is garbage now, and never look at the rest again; called when everything is loaded, before the work begins."""
    gc.collect()
    gc.freeze()


@contextmanager
def loading() -> Iterator[None]:
    """No rounds of the collector meanwhile: hardly anything that is loaded is garbage, and to look for it takes a sixth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
