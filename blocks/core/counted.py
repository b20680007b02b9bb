"""A number with its noun, right in the plural."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """`1 job`, `2 jobs`, `1,200 dead letters`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
