"""A traceback as a page shows it: the job's own frames, and runs of those of Redrive, Prefect and libraries folded away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import PurePath
from typing import Final

#: A frame begins so; its source and marks are indented deeper.
_FRAME: Final = re.compile(r'^\s*File "(?P<path>[^"]+)", line \d+')
#: Folders of code that is not the job's: installed packages, the standard library, Redrive's own.
_THEIRS: Final = ({"site-packages"}, {"dist-packages"}, {"flows", "engine"}, {"blocks", "process"}, {"infra", "worker"})
_LIBRARY: Final = re.compile(r"^python3(\.\d+)?$")


@dataclass(frozen=True, kw_only=True)
class Part:
    """Lines that stand together. `folded`: how many frames, if nobody asked to see them."""

    text: str
    folded: int = 0


def parts(traceback: str) -> list[Part]:
    """The parts in order; the last frame, where the error was raised, is never folded."""
    pieces = list(_pieces(traceback))
    frames = [at for at, (is_frame, _) in enumerate(pieces) if is_frame]
    last = frames[-1] if frames else None

    def hidden(numbered: tuple[int, tuple[bool, str]]) -> bool:
        at, (is_frame, text) = numbered
        found = _FRAME.match(text)
        return is_frame and at != last and found is not None and _is_theirs(found["path"])

    made = []
    for is_folded, some in groupby(enumerate(pieces), key=hidden):
        texts = [text for _, (_, text) in some]
        made.append(Part(text="\n".join(texts), folded=len(texts) if is_folded else 0))
    return made


def _is_theirs(path: str) -> bool:
    folders = PurePath(path).parts[:-1]
    # Frozen modules are of Python itself.
    return (
        path.startswith("<frozen ")
        or any(some <= set(folders) for some in _THEIRS)
        or any(place == "lib" and _LIBRARY.match(name) for place, name in pairwise(folders))
    )


def _pieces(traceback: str) -> Iterator[tuple[bool, str]]:
    """Each frame with the lines below it, and each other line alone."""
    frame: list[str] = []
    for line in traceback.rstrip().splitlines():
        begins = _FRAME.match(line)
        if frame and not begins and _depth(line) > _depth(frame[0]):
            frame.append(line)
            continue
        if frame:
            yield True, "\n".join(frame)
            frame = []
        if begins:
            frame = [line]
        else:
            yield False, line
    if frame:
        yield True, "\n".join(frame)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
