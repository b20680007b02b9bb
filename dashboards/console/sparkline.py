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
    most = max(*values, 1)
    step = WIDTH / len(values)
    bars = Markup("").join(
        Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="0.8"{}/>').format(
            number * step,
            HEIGHT - _height(value, most),
            step - 1.2,
            _height(value, most),
            Markup("") if value else Markup(' class="none"'),
        )
        for number, value in enumerate(values)
    )
    said = f"{sum(values):,} in 24 hours, {values[-1]:,} in the last"
    return Markup('<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, said, bars
    )


def _height(value: int, most: int) -> float:
    return 1.2 if not value else 3 + (HEIGHT - 3) * value / most
