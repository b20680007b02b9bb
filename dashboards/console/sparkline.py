"""A sparkline: how often something happened, as small bars, drawn without a script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

#: Size in the units of the drawing.
WIDTH: Final = 96
HEIGHT: Final = 22


def sparkline(values: Sequence[int]) -> Markup:
    """The bars of these values; what they say stands in its title too."""
    if not values:
        return Markup("")
    most, step = max(*values, 1), WIDTH / len(values)
    # One line for the bars and one for the gaps: a page shows fifty drawings, and each part of one costs it time.
    drawn: dict[bool, str] = {True: "", False: ""}
    for at, value in enumerate(values):
        drawn[bool(value)] += _bar(at * step, value, most, step)
    message = f"{sum(values):,} in 24 hours, {values[-1]:,} in the last"
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}"><path class="none" d="{}"/><path d="{}"/></svg>'
    ).format(WIDTH, HEIGHT, message, drawn[False], drawn[True])


def _bar(x: float, value: int, most: int, step: float) -> str:
    height = _height(value, most)
    return f"M{x:.1f} {HEIGHT - height:.1f}h{step - 1.2:.1f}V{HEIGHT}h-{step - 1.2:.1f}z"


def _height(value: int, most: int) -> float:
    return 1.2 if not value else 3 + (HEIGHT - 3) * value / most
