"""What a flame graph of py-spy says: which functions had the time to themselves.

Its SVG notes of each box where it begins and how wide it is, in samples (`fg:x`, `fg:w`); what a box has beyond the boxes on it
is its function's own.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from html import unescape
from itertools import pairwise

_BOX = re.compile(
    r"<g><title>(?P<title>[^<]*)</title><rect [^>]*?y=\"(?P<y>[\d.]+)\"[^>]*?fg:x=\"(?P<x>\d+)\" fg:w=\"(?P<w>\d+)\""
)
#: Where the standard library waits.
_WAITS = re.compile(
    r"(?:\w+\.)?(?:wait|acquire|select|poll|accept|get|readinto|_wait_for_tstate_lock) "
    r"\((?:threading|selectors|queue|socket)\.py"
)
_TITLE = re.compile(r"(?P<where>.*) \([\d,]+ samples?, [\d.]+%\)")


@dataclass(frozen=True)
class Share:
    """A place in the code, and its part of the samples that it had to itself."""

    where: str
    samples: int
    part: float


@dataclass(frozen=True)
class _Box:
    where: str
    y: float
    x: int
    w: int


def shares(svg: str, most: int = 10) -> list[Share]:
    """The places with most time of their own, the greatest first."""
    boxes = [
        _Box(_TITLE.sub(r"\g<where>", unescape(found["title"])), float(found["y"]), int(found["x"]), int(found["w"]))
        for found in _BOX.finditer(svg)
    ]
    if not boxes:
        return []
    levels = sorted({box.y for box in boxes}, reverse=_grows_upwards(boxes))
    above = dict(pairwise(levels))
    own: Counter[str] = Counter()
    for box in boxes:
        on_it = [one.w for one in boxes if one.y == above.get(box.y) and box.x <= one.x < box.x + box.w]
        if (left := box.w - sum(on_it)) > 0:
            own[box.where] += left
    # A sampler takes some waiting threads for busy ones; beside work they are none of it.
    own = Counter({where: count for where, count in own.items() if not _WAITS.match(where)}) or own
    total = sum(own.values())
    return [Share(where, count, count / total) for where, count in own.most_common(most)]


def _grows_upwards(boxes: list[_Box]) -> bool:
    """Whether the widest row, which holds all, is the lowest."""
    whole = max(boxes, key=lambda box: (box.w, box.where == "all"))
    return whole.y == max(box.y for box in boxes)
