"""The lease: how long a worker may be silent before its jobs are taken back, counted only while the API itself answered.

Danger: silence is measured by this keeper's own clock between two looks that both succeeded; a keeper that was just started
knows of no silence yet, so a rescue may come late, never early.
"""

from __future__ import annotations

from collections.abc import Mapping


class Silence:
    """How long each worker has been silent, in seconds of an answering API."""

    def __init__(self) -> None:
        self._heard: dict[str, object] = {}
        self._silent: dict[str, float] = {}
        self._looked: float | None = None

    def look(self, signs: Mapping[str, object], *, now: float, longest_gap: float) -> None:
        """A successful look at the API.

        Args:
            signs: per worker (or run), what changes while it lives: its last heartbeat.
            now: this machine's monotonic clock, seconds.
            longest_gap: two looks further apart than this say nothing: the keeper itself was stopped or cut off.
        """
        elapsed = 0.0 if self._looked is None else now - self._looked
        counted = elapsed if elapsed <= longest_gap else 0.0
        self._looked = now
        for name, sign in signs.items():
            same = name in self._heard and self._heard[name] == sign
            self._silent[name] = self._silent.get(name, 0.0) + counted if same else 0.0
        self._heard = dict(signs)
        self._silent = {name: self._silent[name] for name in signs}

    def missed(self) -> None:
        """The API did not answer: the time until the next look does not count."""
        self._looked = None

    def of(self, name: str) -> float:
        """Seconds; 0 for one that was never looked at."""
        return self._silent.get(name, 0.0)
