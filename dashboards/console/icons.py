"""The drawings on the pages."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

_ICONS: Final = {
    "overview": '<path d="M3 12l4-4 3 3 7-7"/><path d="M13 4h4v4"/><path d="M3 16h14"/>',
    "jobs": '<path d="M4 5h12M4 10h12M4 15h8"/>',
    "failures": '<path d="M10 3l7.5 13h-15z"/><path d="M10 8v4M10 14.2v.1"/>',
    "slow": '<path d="M3.5 14.5a7 7 0 1 1 13 0"/><path d="M10 13.5l3.2-4.4"/><circle cx="10" cy="13.8" r="1"/>',
    "acts": '<path d="M4 4h5v5H4zM11 4h5v5h-5zM4 11h5v5H4z"/><path d="M11 13.5l2 2 3.5-4"/>',
    "schedules": '<circle cx="10" cy="10" r="7"/><path d="M10 6v4l3 2"/>',
    "types": '<path d="M10 2.5l6.5 3.7v7.6L10 17.5l-6.5-3.7V6.2z"/><path d="M10 10l6.5-3.8M10 10v7.5M10 10L3.5 6.2"/>',
    "audit": '<path d="M5 3h7l3 3v11H5z"/><path d="M8 9h4M8 12h4"/>',
    "pause": '<path d="M7 5v10M13 5v10"/>',
    "play": '<path d="M6 4l10 6-10 6z"/>',
    "retry": '<path d="M16 10a6 6 0 1 1-2-4.5"/><path d="M16 2.5V6h-3.5"/>',
    "search": '<circle cx="9" cy="9" r="5"/><path d="M13 13l4 4"/>',
    "theme": '<circle cx="10" cy="10" r="6.5"/><path d="M10 3.5a6.5 6.5 0 0 1 0 13z" fill="currentColor"/>',
    "out": '<path d="M8 4H4v12h4M12 7l3 3-3 3M15 10H8"/>',
    "copy": '<path d="M7 7h9v9H7z"/><path d="M13 7V4H4v9h3"/>',
    "link": '<path d="M8 4H4v12h12v-4M11 3h6v6M17 3l-8 8"/>',
}


def icon(name: str) -> Markup:
    """One of our drawings."""
    return Markup(  # noqa: S704  (our own constants)
        '<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor" '
        f'stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round">{_ICONS[name]}</svg>'
    )
