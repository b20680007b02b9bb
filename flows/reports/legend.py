"""A chart's legend: one small picture per series that looks like what is drawn."""

from __future__ import annotations

from redrive.flows.reports.definition import Series

#: Colours that print well, keep apart for the colour-blind and carry no meaning of good and bad.
COLORS = {
    "cool": "#2f6f9f",
    "warm": "#d17a22",
    "strong": "#16324f",
    "quiet": "#8a97a6",
    "pale": "#9dc1dc",
    "green": "#4b8b6f",
}
LINE, DASHED = 2.4, 1.8
DASH = (5, 3)
_DRAWN = {
    "line": f'<line x1="0" y1="6" x2="22" y2="6" stroke="{{0}}" stroke-width="{LINE}" stroke-linecap="round"/>',
    "dashed": f'<line x1="0" y1="6" x2="22" y2="6" stroke="{{0}}" stroke-width="{DASHED}" stroke-dasharray="{DASH[0]} {DASH[1]}"/>',
    "bar": '<rect x="5" y="1" width="12" height="10" rx="1.5" fill="{0}"/>',
    "tick": '<line x1="3" y1="6" x2="19" y2="6" stroke="{0}" stroke-width="2.4"/>',
    "area": (
        '<rect x="1" y="3" width="20" height="9" fill="{0}" fill-opacity="0.35"/>'
        '<line x1="1" y1="3" x2="21" y2="3" stroke="{0}" stroke-width="2"/>'
    ),
}


def swatch(series: Series) -> str:
    """SVG of 22 by 12."""
    drawn = _DRAWN[series.kind].format(COLORS[series.color])
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="22" height="12" viewBox="0 0 22 12">{drawn}</svg>'
