"""Names of locales and time zones, or the nearest that exists."""

from __future__ import annotations

from zoneinfo import available_timezones

from babel import Locale, UnknownLocaleError
from babel.localedata import locale_identifiers

from redrive.blocks.core.nearest import suggestion


def known_locale(name: str) -> str:
    """The name, as Babel writes it: `de_DE`.

    Raises:
        ValueError: there is no such locale; the message names the nearest.
    """
    try:
        return str(Locale.parse(name.replace("-", "_")))
    except (UnknownLocaleError, ValueError) as error:
        raise ValueError(f"there is no locale {name!r}; {_nearest(name, locale_identifiers())}") from error


def known_zone(name: str) -> str:
    """The name itself.

    Raises:
        ValueError: there is no such time zone; the message names the nearest.
    """
    zones = available_timezones()
    if name not in zones:
        raise ValueError(f"there is no time zone {name!r}; {_nearest(name, sorted(zones))}")
    return name


def _nearest(name: str, known: list[str]) -> str:
    return suggestion(name, known, "write it like en_GB or Europe/London", alike=0.4)
