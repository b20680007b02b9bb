"""How values read on a page: ages, spans, numbers, short ids."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape

from redrive.blocks.core.plain_text import plain_text

MINUTE, HOUR, DAY = 60, 3600, 86400


def span(value: timedelta | float | None) -> str:
    """A time as people say it: `0.4 s`, `12 s`, `3 m 20 s`, `2 h 5 m`, `3 d 4 h`."""
    if value is None:
        return "–"
    seconds = max(0.0, value.total_seconds() if isinstance(value, timedelta) else float(value))
    if seconds < 10:  # noqa: PLR2004  (below it a tenth is worth telling, and below a tenth nobody thinks in seconds)
        if 0 < seconds < 0.1:  # noqa: PLR2004  (as above)
            return f"{seconds * 1000:.0f} ms"
        return f"{seconds:.2g} s" if seconds < 1 or seconds.is_integer() else f"{seconds:.1f} s"
    return _long(int(seconds))


def _long(whole: int) -> str:
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return _both(whole // MINUTE, "m", whole % MINUTE if whole < 10 * MINUTE else 0, "s")
    if whole < DAY:
        return _both(whole // HOUR, "h", whole % HOUR // MINUTE, "m")
    return _both(whole // DAY, "d", whole % DAY // HOUR if whole < 10 * DAY else 0, "h")


def _both(many: int, unit: str, rest: int, less: str) -> str:
    return f"{many:,} {unit} {rest} {less}" if rest else f"{many:,} {unit}"


def ago(at: datetime | None) -> Markup:
    """How long ago something was; the page counts on."""
    if at is None:
        return Markup("–")
    age = int((datetime.now(UTC) - at).total_seconds())
    # Seconds beside minutes would make a table of ages flicker.
    shown = f"{age // MINUTE} m" if MINUTE <= age < HOUR else _long(age)
    message = f"{shown} ago" if age > 0 else "just now"
    exact = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
        exact.isoformat(), f"{exact:%Y-%m-%d %H:%M:%S} UTC", message
    )


def until(at: datetime | None) -> Markup:
    """How long it is until then; the page counts down."""
    if at is None:
        return Markup("–")
    left = at - datetime.now(UTC)
    message = f"in {span(left)}" if left > timedelta(0) else "now"
    exact = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}" data-until>{}</time>').format(
        exact.isoformat(), f"{exact:%Y-%m-%d %H:%M:%S} UTC", message
    )


def since(text: str) -> Markup:
    """How long something has gone on, from its time as a worker reports it; the page counts on."""
    message = span(datetime.now(UTC) - datetime.fromisoformat(text))
    return Markup('<time datetime="{}" data-since>{}</time>').format(text, message)


def when(at: datetime | None) -> Markup:
    """A time to the second, UTC."""
    if at is None:
        return Markup("–")
    exact = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(exact.isoformat(), f"{exact:%Y-%m-%d %H:%M:%S}Z")


def commands(text: str) -> Markup:
    """A sentence of ours with what stands between backticks as code."""
    parts = plain_text(text).split("`")
    shown = (Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts))
    return Markup("").join(shown)


def capital(text: str) -> str:
    """A sentence from what begins in the middle of one, as the messages of errors do; one that begins with a name stays as it is."""
    first = text.partition(" ")[0].rstrip(",;")
    return text[:1].upper() + text[1:] if first.replace("'", "").isalpha() else text


def number(value: float | None) -> str:
    """A number with its thousands apart."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:,.1f}"  # noqa: PLR2004


def pace(rate: float) -> str:
    """Jobs a second as people say them: `20 a second`, `30 a minute`, `5 an hour`."""
    for unit, seconds in (("a second", 1), ("a minute", MINUTE)):
        if rate * seconds >= 1:
            return f"{number(round(rate * seconds, 1))} {unit}"
    return f"{number(round(rate * HOUR, 1))} an hour"


def percent(value: float) -> str:
    """A share of a hundred: `42 %`; what is there and too little to count is `<1 %`."""
    return "<1 %" if 0 < value < 0.5 else f"{value:.0f} %"  # noqa: PLR2004  (rounds to nothing)


def size(value: float | None) -> str:
    """Bytes as people say them: `812 KB`, `96 MB`, `1.4 GB`."""
    if value is None:
        return "–"
    for unit, least in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if value >= least:
            whole = value / least
            return f"{whole:.1f} {unit}" if whole < 10 and unit == "GB" else f"{whole:,.0f} {unit}"  # noqa: PLR2004  (below it a tenth is much)
    return f"{value:.0f} B"


def compact(value: int) -> str:
    """A number in four characters: `812`, `9.9k`, `28k`, `1.2M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            whole = value / size
            return f"{whole:.1f}{unit}" if whole < 10 else f"{whole:.0f}{unit}"  # noqa: PLR2004  (below it a tenth has room)
    return str(value)


def short(value: object) -> str:
    """The beginning of an id, as the command line takes it."""
    return str(value)[:8]


def as_json(value: object) -> str:
    """A value as people read JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
