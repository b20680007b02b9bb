"""A number with its noun, right in the plural."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 job`, `2 jobs`, `1,200 dead letters`; `plural` where an s is not enough."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
